"""What the benchmarks measure on."""

import sys
from collections.abc import Sequence
from pathlib import Path

from beyondcam import open_images, open_masks
from beyondcam.data import LabelledImages, Masks
from beyondcam.evidence import find_shelf
from beyondcam.metrics import ImageTally, tallies_of


def open_scored(data: str, split: str, classes: Sequence[str]) -> tuple[LabelledImages, Masks]:
    """The images of a split and their masks; without masks the benchmark ends here."""
    masks = open_masks(data, split, classes)
    if masks is None:
        sys.exit(f"{data}: has no masks")
    return open_images(data, split, classes), masks


def tallies(run: Path, images: LabelledImages, masks: Masks, recipe: str) -> list[ImageTally]:
    """The counts of each image that is mapped."""
    return list(tallies_of(find_shelf(run, images, recipe), images.ids, masks))
