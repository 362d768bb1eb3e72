"""beyondcam: from image-level labels to scored segmentation masks.

The names here are the public ones; everything else may move.
"""

from beyondcam.classifier import (
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
    train,
    wrap,
)
from beyondcam.data import LabelledImages, Masks, Photo, open_images, open_masks, read_photo
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Evidence, map_split, map_witnesses
from beyondcam.library import classify, map_batch, map_image
from beyondcam.maps import MAPS
from beyondcam.metrics import Scores, Training, score_split
from beyondcam.perturbations import Perturbation
from beyondcam.plotting import plot
from beyondcam.recipes import Cookbook, Recipe, Source
from beyondcam.refinements import Refinement
from beyondcam.seeds import seed_labels
from beyondcam.segmentation import SegmentConfig, Segmenter, load_segmenter, train_segmenter

__all__ = [
    "MAPS",
    "BeyondcamError",
    "Classifier",
    "Clip",
    "Cookbook",
    "Evidence",
    "LabelledImages",
    "Masks",
    "Perturbation",
    "Photo",
    "Recipe",
    "Refinement",
    "Scores",
    "SegmentConfig",
    "Segmenter",
    "Source",
    "TrainConfig",
    "Training",
    "Wrapped",
    "adopt_network",
    "classify",
    "clip",
    "fingerprint",
    "folded",
    "imagenet_classifier",
    "load_classifier",
    "load_segmenter",
    "map_batch",
    "map_image",
    "map_split",
    "map_witnesses",
    "open_images",
    "open_masks",
    "plot",
    "read_photo",
    "score_split",
    "seed_labels",
    "train",
    "train_segmenter",
    "wrap",
]
