"""Segmentation: a network trained on label images, and what it predicts."""

from beyondcam.segmentation.config import SegmentConfig, digits_segment_config
from beyondcam.segmentation.network import Segmenter, build_segmenter, load_segmenter
from beyondcam.segmentation.onnx import export_onnx
from beyondcam.segmentation.predict import predict_photos, predict_split
from beyondcam.segmentation.training import Labels, train_segmenter

__all__ = [
    "Labels",
    "SegmentConfig",
    "Segmenter",
    "build_segmenter",
    "digits_segment_config",
    "export_onnx",
    "load_segmenter",
    "predict_photos",
    "predict_split",
    "train_segmenter",
]
