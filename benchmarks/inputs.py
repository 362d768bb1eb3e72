"""What the benchmarks share: the device, scored splits, counts."""

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from lightning_fabric import Fabric

from beyondcam import open_images, open_masks
from beyondcam.data import LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.devices import Network, start, to_device
from beyondcam.evidence import find_shelf
from beyondcam.metrics import ImageTally, tallies_of


@cache
def fabric() -> Fabric:
    """The device that benchmarks run on, opened as the commands open it."""
    return start()


def on_device(network: Network) -> Network:
    """Move a network to that device."""
    return to_device(network, fabric())


def open_scored(data: str, split: str, classes: Sequence[str]) -> tuple[LabelledImages, Masks]:
    """The images of a split and their masks; exits where there are no masks."""
    masks = open_masks(data, split, classes)
    if masks is None:
        sys.exit(f"{data}: has no masks")
    return open_images(data, split, classes), masks


def tallies(run: Path, images: LabelledImages, masks: Masks, recipe: str) -> list[ImageTally]:
    """The pixel counts of each image with evidence of a recipe."""
    return list(tallies_of(find_shelf(run, images, recipe), images.ids, masks))


def log(message: str) -> None:
    """Print a progress message to stderr."""
    print(message, file=sys.stderr, flush=True)
