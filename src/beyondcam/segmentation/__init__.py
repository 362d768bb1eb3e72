"""Segmentation: a network trained on seeds, and what it predicts."""

from beyondcam.segmentation.network import Segmenter, build_segmenter
from beyondcam.segmentation.onnx import export_onnx
from beyondcam.segmentation.predict import predict_photos, predict_split
from beyondcam.segmentation.train import (
    Labels,
    SegmentConfig,
    digits_segment_config,
    load_segmenter,
    train_segmenter,
)

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
