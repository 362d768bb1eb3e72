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
from beyondcam.maps import Map, register_map
from beyondcam.metrics import Scores, Training, score_split
from beyondcam.perturbations import Perturbation, register_perturbation
from beyondcam.recipes import Cookbook, Recipe, Source
from beyondcam.refinements import Refinement, register_refinement
from beyondcam.seeds import seed_labels
from beyondcam.segmentation import SegmentConfig, Segmenter, load_segmenter, train_segmenter

__all__ = [
    "BeyondcamError",
    "Classifier",
    "Cookbook",
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
    "TrainConfig",
    "Training",
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
    "register_map",
    "register_perturbation",
    "register_refinement",
    "score_split",
    "seed_labels",
    "train",
    "train_segmenter",
]
