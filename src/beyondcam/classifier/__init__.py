"""The classifier: any backbone with a 1×1 head, trained from image-level labels."""

from beyondcam.classifier.adopt import adopt_network
from beyondcam.classifier.build import build, check_known, imagenet_classifier, load_imagenet, restore
from beyondcam.classifier.fold import folded
from beyondcam.classifier.model import Activations, Classifier, Network, evaluating, fingerprint
from beyondcam.classifier.train import (
    TrainConfig,
    digits_config,
    load_classifier,
    mean_average_precision,
    read_config,
    train,
    train_run,
)
from beyondcam.classifier.wrapping import Wrapped, wrap
from beyondcam.classifier.zero_shot import Clip, clip

__all__ = [
    "Activations",
    "Classifier",
    "Clip",
    "Network",
    "TrainConfig",
    "Wrapped",
    "adopt_network",
    "build",
    "check_known",
    "clip",
    "digits_config",
    "evaluating",
    "fingerprint",
    "folded",
    "imagenet_classifier",
    "load_classifier",
    "load_imagenet",
    "mean_average_precision",
    "read_config",
    "restore",
    "train",
    "train_run",
    "wrap",
]
