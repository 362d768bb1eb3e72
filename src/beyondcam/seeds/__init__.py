"""Seeds: label images at a threshold."""

from beyondcam.data import PALETTE
from beyondcam.seeds.export import write_coco, write_npy
from beyondcam.seeds.labels import seed_labels
from beyondcam.seeds.write import Written, write_seeds

__all__ = ["PALETTE", "Written", "seed_labels", "write_coco", "write_npy", "write_seeds"]
