"""Label images as PNG: `masks/NAME.png`, called as the photo, with VOC's palette, and `classes.txt`."""

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import PALETTE, VOID
from beyondcam.data.folder import files_below
from beyondcam.data.mask_file import MAX_LABELS, read_label_image
from beyondcam.data.table import read_classes
from beyondcam.decode import read_index_picture, read_text
from beyondcam.errors import BeyondcamError
from beyondcam.files import path_below, write_whole
from beyondcam.formats.base import Book, Entry, Labelled
from beyondcam.label_images import class_list, encode_labels

Colours = Mapping[tuple[int, ...], int]
"""The value that a colour, (red, green, blue), stands for."""

LABELMAP = "labelmap.txt"
"""Names and colours of values, as CVAT and Datumaro have them."""


def write(masks: Iterable[Labelled], book: Book, out: Path, folder: str = "masks") -> None:
    """Write the masks below `out/folder`, who and when in each, and the names of the classes."""
    write_whole(out / "classes.txt", class_list(book.images.classes).encode())
    for mask in masks:
        write_whole(
            path_below(out / folder, book.stem(mask.image), ".png"), encode_labels(mask.labels, mask.facts)
        )


def read(path: Path, book: Book, folder: str = "masks") -> Iterator[Entry]:
    """Read the PNGs below `path/folder`, or below `path` itself.

    Their values are lines of `classes.txt` or `labelmap.txt`, where there is one, else the classes in order.
    Where `labelmap.txt` has their colours, these count, also in RGB.
    """
    if not path.is_dir():
        raise BeyondcamError(f"{path}: no such folder of masks")
    root, names = path / folder if (path / folder).is_dir() else path, book.images.classes
    colours: Colours = {}
    for listed in (place / name for place in (path, path.parent) for name in ("classes.txt", LABELMAP)):
        if listed.is_file():
            if listed.name == LABELMAP:
                names, colours = _mapped(listed)
            else:
                names = tuple(read_classes(listed))
            break

    def painted(file: Path) -> NDArray[np.uint8] | None:
        values = _by_colour(file, colours) if colours else None
        mask = book.renumbered(read_label_image(file) if values is None else values, names)
        return mask if mask.any() else None

    for file in files_below(root, (".png",)):
        yield Entry(file.relative_to(root).as_posix(), partial(painted, file))


def _mapped(path: Path) -> tuple[tuple[str, ...], Colours]:
    """The names of values 1, 2, … in a `labelmap.txt`, and the values of the colours it has.

    It has a line each, "name:red,green,blue::", background first. What it leaves out is void in VOC's colour.
    """
    lines = (line.strip() for line in read_text(path).splitlines())
    fields = [f"{line}:".split(":") for line in lines if line and not line.startswith("#")]
    written = {
        value: re.fullmatch(r"(\d+),(\d+),(\d+)", colour) for value, (_, colour, *_) in enumerate(fields)
    }
    colours = {tuple(map(int, found.groups())): value for value, found in written.items() if found}
    return tuple(name for name, *_ in fields)[1:], {tuple(PALETTE[-3:]): VOID, **colours} if colours else {}


def _by_colour(file: Path, colours: Colours) -> NDArray[np.uint8] | None:
    """The values (H, W) that the colours of a picture stand for; None where it has none, or has others."""
    numbers, palette = read_index_picture(file, MAX_LABELS, coloured=True)
    if palette is None:
        return None
    table = np.zeros(256, np.uint8)
    for n in np.unique(numbers).tolist():
        value = colours.get(tuple(palette[3 * n : 3 * n + 3]))
        if value is None:
            return None
        table[n] = value
    return table[numbers]
