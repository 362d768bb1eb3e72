"""beyondcam: from image-level labels to scored segmentation masks.

The names here are the public ones; everything else may move.
"""

from beyondcam.classifier import (
    Classifier,
    TrainConfig,
    folded,
    imagenet_classifier,
    load_classifier,
    train,
)
from beyondcam.data import LabelledImages, Masks, Photo, open_images, open_masks, read_photo
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Evidence, map_split, map_witnesses
from beyondcam.library import map_image
from beyondcam.maps import MAPS
from beyondcam.metrics import Scores, ThresholdSplit, score_split
from beyondcam.perturbations import Perturbation
from beyondcam.recipes import Cookbook, Recipe, Source
from beyondcam.refinements import Refinement
from beyondcam.seeds import seed_labels
from beyondcam.segmentation import SegmentConfig, Segmenter, load_segmenter, train_segmenter

__all__ = [
    "MAPS",
    "BeyondcamError",
    "Classifier",
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
    "ThresholdSplit",
    "TrainConfig",
    "folded",
    "imagenet_classifier",
    "load_classifier",
    "load_segmenter",
    "map_image",
    "map_split",
    "map_witnesses",
    "open_images",
    "open_masks",
    "read_photo",
    "score_split",
    "seed_labels",
    "train",
    "train_segmenter",
]
