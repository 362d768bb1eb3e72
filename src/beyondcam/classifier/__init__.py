"""The classifier: any backbone with a 1×1 head, trained from image-level labels."""

from beyondcam.classifier.build import build, fill, imagenet_classifier, imagenet_weights
from beyondcam.classifier.fold import folded
from beyondcam.classifier.model import Activations, Classifier, Network
from beyondcam.classifier.train import (
    TrainConfig,
    digits_config,
    load_classifier,
    mean_average_precision,
    read_config,
    train,
    train_run,
)

__all__ = [
    "Activations",
    "Classifier",
    "Network",
    "TrainConfig",
    "build",
    "digits_config",
    "fill",
    "folded",
    "imagenet_classifier",
    "imagenet_weights",
    "load_classifier",
    "mean_average_precision",
    "read_config",
    "train",
    "train_run",
]
