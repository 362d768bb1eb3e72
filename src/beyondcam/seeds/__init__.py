"""Seeds: label images at a threshold."""

from beyondcam.seeds.palette import PALETTE, encode_labels, overlay
from beyondcam.seeds.write import find_shelf, seed_labels, write_seeds

__all__ = ["PALETTE", "encode_labels", "find_shelf", "overlay", "seed_labels", "write_seeds"]
