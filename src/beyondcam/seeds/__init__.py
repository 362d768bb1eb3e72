"""Seeds: label images at a threshold."""

from beyondcam.seeds.confidence import found_in
from beyondcam.seeds.export import write_coco, write_npy
from beyondcam.seeds.labels import labels_at, levels_of, mask, seed_labels
from beyondcam.seeds.sources import SeedsAndMasks
from beyondcam.seeds.write import Written, write_seeds

__all__ = [
    "SeedsAndMasks",
    "Written",
    "found_in",
    "labels_at",
    "levels_of",
    "mask",
    "seed_labels",
    "write_coco",
    "write_npy",
    "write_seeds",
]
