from .adopt import adopt_network
from .build import build_classifier, check_known, imagenet_classifier, load_imagenet
from .config import TrainConfig, digits_config
from .evaluation import mean_average_precision
from .fold import folded
from .load import load_classifier, read_config
from .model import Activations, Classifier, Network, evaluating, fingerprint, taking
from .training import train_classifier, train_run
from .wrapping import Wrapped, wrap
from .zero_shot import Clip, clip

__all__ = [
    "Activations",
    "Classifier",
    "Clip",
    "Network",
    "TrainConfig",
    "Wrapped",
    "adopt_network",
    "build_classifier",
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
    "taking",
    "train_classifier",
    "train_run",
    "wrap",
]
