"""Where images and labels come from: `open_images`. Masks come from `beyondcam.data.masks`, loaded apart.

A new source is a module with a function `images`, one line in `SOURCES`, and one in `MASKS` of
`data/masks.py`; or a package of its own, which registers both.
"""

from collections.abc import Callable, Sequence
from os import PathLike, fspath
from pathlib import Path

from beyondcam.data import coco, digits, folder, imagefolder, voc
from beyondcam.data.layout import kind_of
from beyondcam.data.palette import PALETTE
from beyondcam.data.photo import MAX_SIDE, SUFFIXES, VOID, Photo, read_photo
from beyondcam.data.source import LabelledImages, clean_names, evenly
from beyondcam.decode import MAX_PIXELS
from beyondcam.errors import BeyondcamError
from beyondcam.files import reading
from beyondcam.registry import Registry

Source = Callable[[str, str, Sequence[str] | None, int], LabelledImages]

FORMS = {
    "digits": "digits, digits:KEY=VALUE,...",
    "voc": "voc:PATH",
    "coco": "coco:IMAGES_DIR:INSTANCES_JSON",
    "folder": "folder:PATH[:NEGATIVES]",
    "imagefolder": "imagefolder:PATH[:NEGATIVES]",
}
"""How data of the built-in sources are written."""

SOURCES: Registry[Source] = Registry(
    "data source",
    "beyondcam.data",
    {
        "digits": digits.images,
        "voc": voc.images,
        "coco": coco.images,
        "folder": folder.images,
        "imagefolder": imagefolder.images,
    },
)

__all__ = [
    "MAX_PIXELS",
    "MAX_SIDE",
    "PALETTE",
    "SOURCES",
    "SUFFIXES",
    "VOID",
    "LabelledImages",
    "Photo",
    "evenly",
    "is_digits",
    "open_images",
    "parse",
    "read_photo",
    "recognised",
    "register_data",
    "with_negatives",
]


def open_images(
    data: str | PathLike[str], split: str, classes: Sequence[str] | None = None, max_pixels: int | None = None
) -> LabelledImages:
    """Images and image-level labels.

    Parameters
    ----------
    data
        `digits`, `digits:KEY=VALUE,…`, `voc:PATH`, `coco:IMAGES_DIR:INSTANCES_JSON`, `folder:PATH`,
        `imagefolder:PATH`, the last two also with `:NEGATIVES`, the name of photos of no class; or the PATH
        alone, whose kind is told by what lies there.
    split
        Its name.
    classes
        Those to keep, in this order; by default all.
    max_pixels
        Of a photo, as for `read_photo`; None for its default.

    Returns
    -------
    The images of the split. Photos are read when they are asked for.

    Raises
    ------
    BeyondcamError
        Where there are no such data, or something in them is surely a mistake. A photo that cannot be read
        raises when it is.

    """
    with reading(data):
        kind, place = parse(fspath(data))
        return SOURCES.find(kind)(place, split, clean_names(classes), max_pixels or MAX_PIXELS)


def register_data(name: str, images: Source) -> Source:
    """Add a source of images, for data written `NAME:PLACE`; see `register_masks` for their masks.

    Parameters
    ----------
    name
        what stands before the colon.
    images
        a function of the place (what follows the colon), the name of a split, the classes to keep (None for
        all) and `max_pixels` (of a photo, as for `read_photo`) → `LabelledImages`.

    Returns
    -------
    `images`.

    Raises
    ------
    BeyondcamError
        Where the name is that of a built-in source.

    """
    return SOURCES.register(name, images)


def is_digits(data: str) -> bool:
    """Whether the data are the embedded canvases, of whatever settings."""
    return data.partition(":")[0] == "digits"


def with_negatives(data: str, negatives: str | None) -> str:
    """Data in which a name stands for photos of no class, where one is given. Raises `BeyondcamError`."""
    if negatives is None:
        return data
    kind, place = parse(data)
    if kind not in ("folder", "imagefolder"):
        raise BeyondcamError(f"only folders of photos have such, not {kind}", parameter="negatives")
    return f"{kind}:{place}:{negatives}"


def recognised(data: str) -> str:
    """Data with its kind in front: that of a path is told by what lies there."""
    return data if data.partition(":")[0] in SOURCES else kind_of(data)


def parse(data: str) -> tuple[str, str]:
    """The kind of the data, a key of `SOURCES`, and the place that follows it. Raises `BeyondcamError`."""
    kind, _, place = recognised(data).partition(":")
    if kind not in SOURCES or (not place and kind in ("voc", "coco", "folder", "imagefolder")):
        *forms, last = (FORMS.get(name, f"{name}:PLACE") for name in SOURCES.names())
        what = ""
        if kind == data and kind not in SOURCES:
            what = "no folder, and no file of labels; " if Path(data).exists() else "no such folder or file; "
        raise BeyondcamError(f"{data}: {what}write {', '.join(forms)} or {last}", parameter="data")
    return kind, place
