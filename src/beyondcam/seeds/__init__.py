"""Seeds: label images at a threshold."""

from beyondcam.seeds.palette import PALETTE, encode_labels, overlay
from beyondcam.seeds.write import class_list, find_shelf, seed_labels, write_labels, write_seeds

__all__ = [
    "PALETTE",
    "class_list",
    "encode_labels",
    "find_shelf",
    "overlay",
    "seed_labels",
    "write_labels",
    "write_seeds",
]
