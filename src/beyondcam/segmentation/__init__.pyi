from .config import SegmentConfig, digits_segment_config
from .network import Segmenter, build_segmenter, load_segmenter
from .onnx import export_onnx
from .predict import predict_photos, predict_split, write_predictions
from .training import Labels, digests_of, train_segmenter

__all__ = [
    "Labels",
    "SegmentConfig",
    "Segmenter",
    "build_segmenter",
    "digests_of",
    "digits_segment_config",
    "export_onnx",
    "load_segmenter",
    "predict_photos",
    "predict_split",
    "train_segmenter",
    "write_predictions",
]
