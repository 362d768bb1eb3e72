"""The classifier: any backbone with a 1×1 head, trained from image-level labels."""

from beyondcam.classifier.build import build, check_known, imagenet_classifier, load_imagenet
from beyondcam.classifier.config import TrainConfig, digits_config
from beyondcam.classifier.evaluation import mean_average_precision
from beyondcam.classifier.fold import folded
from beyondcam.classifier.load import load_classifier, read_config
from beyondcam.classifier.model import Activations, Classifier, Network
from beyondcam.classifier.training import train_classifier, train_run

__all__ = [
    "Activations",
    "Classifier",
    "Network",
    "TrainConfig",
    "build",
    "check_known",
    "digits_config",
    "folded",
    "imagenet_classifier",
    "load_classifier",
    "load_imagenet",
    "mean_average_precision",
    "read_config",
    "train_classifier",
    "train_run",
]
