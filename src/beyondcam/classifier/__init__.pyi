from .build import build, check_known, imagenet_classifier, load_imagenet, restore
from .config import TrainConfig, digits_config
from .fold import folded
from .model import Activations, Classifier, Network
from .train import load_classifier, mean_average_precision, read_config, train, train_run

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
    "restore",
    "train",
    "train_run",
]
