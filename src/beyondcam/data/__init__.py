"""Where images, labels and masks come from. `open_images` and `open_masks` are the two doors.

A new source is one module with `images` and `masks`, and one line in `SOURCES`.
"""

from collections.abc import Sequence
from types import ModuleType

from beyondcam.data import coco, digits, folder, voc
from beyondcam.data.photo import MAX_SIDE, SUFFIXES, VOID, Photo, read_mask, read_photo
from beyondcam.data.source import LabelledImages, Masks, evenly
from beyondcam.errors import BeyondcamError

SOURCES: dict[str, ModuleType] = {"digits": digits, "voc": voc, "coco": coco, "folder": folder}

__all__ = [
    "MAX_SIDE",
    "SOURCES",
    "SUFFIXES",
    "VOID",
    "LabelledImages",
    "Masks",
    "Photo",
    "evenly",
    "is_digits",
    "open_images",
    "open_masks",
    "read_mask",
    "read_photo",
]


def open_images(data: str, split: str, classes: Sequence[str] | None = None) -> LabelledImages:
    """Images and image-level labels of `data`, such as `voc:PATH`. Raises `BeyondcamError`."""
    source, place = _parse(data)
    return source.images(place, split, classes)


def open_masks(data: str, split: str, classes: Sequence[str] | None = None) -> Masks | None:
    """The masks of `data`, None where it has none.

    To score by, and for what says of itself that it has seen them: the rules `train`, `few` and `oracle`, and
    `segment --truth`.
    """
    source, place = _parse(data)
    return source.masks(place, split, classes)


def is_digits(data: str) -> bool:
    """Whether the data are the embedded canvases, of whatever settings."""
    return data.partition(":")[0] == "digits"


def _parse(data: str) -> tuple[ModuleType, str]:
    kind, _, place = data.partition(":")
    if kind not in SOURCES or (not place and kind != "digits"):
        raise BeyondcamError(
            f"--data {data}: write digits, digits:KEY=VALUE,..., voc:PATH, coco:IMAGES_DIR:INSTANCES_JSON "
            "or folder:PATH"
        )
    return SOURCES[kind], place
