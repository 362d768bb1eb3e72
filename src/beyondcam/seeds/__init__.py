"""Seeds: label images at a threshold."""

from beyondcam.seeds.export import write_coco, write_npy
from beyondcam.seeds.palette import PALETTE, encode_labels, encoded, overlay
from beyondcam.seeds.write import (
    Written,
    check_out,
    check_size,
    class_list,
    find_shelf,
    seed_labels,
    write_labels,
    write_seeds,
)

__all__ = [
    "PALETTE",
    "Written",
    "check_out",
    "check_size",
    "class_list",
    "encode_labels",
    "encoded",
    "find_shelf",
    "overlay",
    "seed_labels",
    "write_coco",
    "write_labels",
    "write_npy",
    "write_seeds",
]
