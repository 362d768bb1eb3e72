"""What the benchmarks measure on."""

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from lightning_fabric import Fabric

from beyondcam import open_images, open_masks
from beyondcam.data import LabelledImages, Masks
from beyondcam.devices import Network, keep_memory, open_fabric, to_device
from beyondcam.evidence import find_shelf
from beyondcam.metrics import ImageTally, tallies_of


@cache
def fabric() -> Fabric:
    """The device that is measured on, as the commands open it."""
    opened = open_fabric()
    keep_memory(opened.device)
    return opened


def on_device(network: Network) -> Network:
    """A network where it is measured."""
    return to_device(network, fabric())


def open_scored(data: str, split: str, classes: Sequence[str]) -> tuple[LabelledImages, Masks]:
    """The images of a split and their masks; without masks the benchmark ends here."""
    masks = open_masks(data, split, classes)
    if masks is None:
        sys.exit(f"{data}: has no masks")
    return open_images(data, split, classes), masks


def tallies(run: Path, images: LabelledImages, masks: Masks, recipe: str) -> list[ImageTally]:
    """The counts of each image that is mapped."""
    return list(tallies_of(find_shelf(run, images, recipe), images.ids, masks))
