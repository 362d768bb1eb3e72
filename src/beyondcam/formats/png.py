"""Label images as PNG: `masks/NAME.png`, called as the photo, with VOC's palette, and `classes.txt`."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.data.mask_file import read_label_image
from beyondcam.data.table import read_classes
from beyondcam.decode import read_text
from beyondcam.errors import BeyondcamError
from beyondcam.files import path_below, write_whole
from beyondcam.formats.base import Book, Entry, Labelled
from beyondcam.label_images import class_list, encode_labels

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
    """
    if not path.is_dir():
        raise BeyondcamError(f"{path}: no such folder of masks")
    root, names = path / folder if (path / folder).is_dir() else path, book.images.classes
    for listed in (place / name for place in (path, path.parent) for name in ("classes.txt", LABELMAP)):
        if listed.is_file():
            names = _mapped(listed) if listed.name == LABELMAP else tuple(read_classes(listed))
            break

    def painted(file: Path) -> NDArray[np.uint8] | None:
        mask = book.renumbered(read_label_image(file), names)
        return mask if mask.any() else None

    for file in sorted(root.rglob("*.png")):
        yield Entry(file.relative_to(root).as_posix(), partial(painted, file))


def _mapped(path: Path) -> tuple[str, ...]:
    """The names of values 1, 2, … in a `labelmap.txt`: a line each, "name:colour::", background first."""
    lines = (line.strip() for line in read_text(path).splitlines())
    return tuple(line.partition(":")[0] for line in lines if line and not line.startswith("#"))[1:]
