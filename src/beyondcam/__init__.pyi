from . import maps, metrics, perturbations, recipes, refinements, studies
from .classifier import (
    Classifier,
    Clip,
    TrainConfig,
    Wrapped,
    adopt_network,
    clip,
    fingerprint,
    folded,
    imagenet_classifier,
    load_classifier,
    train_classifier,
    wrap,
)
from .data import LabelledImages, Photo, open_images, read_photo, register_data
from .data.masks import Masks, open_masks, register_masks
from .errors import BeyondcamError
from .evidence import Evidence, map_split, map_witnesses, open_evidence
from .library import classify, map_batch, map_image
from .maps import Map, register_map
from .metrics import Evaluation, Scores, ThresholdSplit, evaluate, score_split
from .perturbations import Perturbation, register_perturbation
from .plotting import plot
from .recipes import Cookbook, Recipe, Source
from .refinements import Refinement, register_refinement
from .seeds import mask, seed_labels
from .segmentation import SegmentConfig, Segmenter, load_segmenter, train_segmenter
from .studies import Study, register_study

__version__: str

__all__ = [
    "BeyondcamError",
    "Classifier",
    "Clip",
    "Cookbook",
    "Evaluation",
    "Evidence",
    "LabelledImages",
    "Map",
    "Masks",
    "Perturbation",
    "Photo",
    "Recipe",
    "Refinement",
    "Scores",
    "SegmentConfig",
    "Segmenter",
    "Source",
    "Study",
    "ThresholdSplit",
    "TrainConfig",
    "Wrapped",
    "adopt_network",
    "classify",
    "clip",
    "evaluate",
    "fingerprint",
    "folded",
    "imagenet_classifier",
    "load_classifier",
    "load_segmenter",
    "map_batch",
    "map_image",
    "map_split",
    "map_witnesses",
    "maps",
    "mask",
    "metrics",
    "open_evidence",
    "open_images",
    "open_masks",
    "perturbations",
    "plot",
    "read_photo",
    "recipes",
    "refinements",
    "register_data",
    "register_map",
    "register_masks",
    "register_perturbation",
    "register_refinement",
    "register_study",
    "score_split",
    "seed_labels",
    "studies",
    "train_classifier",
    "train_segmenter",
    "wrap",
]
