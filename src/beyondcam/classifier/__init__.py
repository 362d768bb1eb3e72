"""The classifier: any backbone with a 1×1 head, trained from image-level labels."""

from beyondcam.classifier.build import build, imagenet_classifier
from beyondcam.classifier.model import Activations, Classifier
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
    "TrainConfig",
    "build",
    "digits_config",
    "imagenet_classifier",
    "load_classifier",
    "mean_average_precision",
    "read_config",
    "train",
    "train_run",
]
