"""Label images as PNG: `masks/NAME.png`, called as the photo, with VOC's palette, and `classes.txt`."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from beyondcam.data.mask_file import read_label_image
from beyondcam.data.table import read_classes
from beyondcam.errors import BeyondcamError
from beyondcam.files import path_below, write_whole
from beyondcam.formats.base import Book, Entry, Labelled
from beyondcam.label_images import class_list, encode_labels


def write(masks: Iterable[Labelled], book: Book, out: Path, folder: str = "masks") -> None:
    """Write the masks below `out/folder`, who and when in each, and the names of the classes."""
    write_whole(out / "classes.txt", class_list(book.images.classes).encode())
    for mask in masks:
        write_whole(
            path_below(out / folder, book.stem(mask.image), ".png"), encode_labels(mask.labels, mask.facts)
        )


def read(path: Path, book: Book, folder: str = "masks") -> Iterator[Entry]:
    """Read the PNGs below `path/folder`, or below `path` itself.

    Their values are lines of `classes.txt`, if it is there, else the classes in their order.
    """
    if not path.is_dir():
        raise BeyondcamError(f"{path}: no such folder of masks")
    root, names = path / folder if (path / folder).is_dir() else path, book.images.classes
    for listed in (path / "classes.txt", path.parent / "classes.txt"):
        if listed.is_file():
            names = tuple(read_classes(listed))
            break
    for file in sorted(root.rglob("*.png")):
        yield Entry(
            file.relative_to(root).as_posix(),
            lambda file=file: book.renumbered(read_label_image(file), names),  # type: ignore[misc]
        )
