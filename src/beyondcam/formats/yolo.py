"""YOLO's segmentation: `labels/SPLIT/NAME.txt`, a polygon a line in shares of the sides, and `data.yaml`."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.data.folder import files_below
from beyondcam.data.source import clean_name
from beyondcam.decode import read_text, read_yaml
from beyondcam.errors import BeyondcamError
from beyondcam.files import path_below, write_whole
from beyondcam.formats.base import Book, Entry, Labelled
from beyondcam.formats.polygons import fill, polygons_of


def write(masks: Iterable[Labelled], book: Book, out: Path) -> None:
    """Write a file for each mask, an empty one where it shows nothing, and `data.yaml`."""
    images = book.images
    names = "".join(f"  {k}: {_quoted(name)}\n" for k, name in enumerate(images.classes))
    folder = f"images/{images.split}"
    text = f"train: {folder}  # put the photos here\nval: {folder}\nnames:\n{names}"
    write_whole(out / "data.yaml", text.encode())
    for mask in masks:
        height, width = mask.labels.shape
        lines = [
            " ".join([str(k - 1), *(f"{share:.7g}" for share in (polygon / (width, height)).ravel())])
            for k in mask.present
            for polygon in polygons_of(mask.labels == k)
        ]
        path = path_below(out / "labels" / images.split, book.stem(mask.image), ".txt")
        write_whole(path, "".join(f"{line}\n" for line in lines).encode())


def read(path: Path, book: Book) -> Iterator[Entry]:
    """Read all files below `path/labels`, or `path` itself; the classes are those of its `data.yaml`."""
    if not path.is_dir():
        raise BeyondcamError(f"{path}: no such folder with data.yaml and labels")
    root, names = path / "labels" if (path / "labels").is_dir() else path, _names(path)
    for file in files_below(root, (".txt",)):
        if file.name == "classes.txt":
            continue
        name = file.relative_to(root).with_suffix("").as_posix()
        yield Entry(name, partial(_painted, file, name, names, book))


def _painted(file: Path, name: str, names: dict[int, str], book: Book) -> NDArray[np.uint8] | None:
    lines = [line.split() for line in read_text(file).splitlines() if line.strip()]
    if not lines:
        return None
    height, width = book.size(book.find(name))
    mask = np.zeros((height, width), np.uint8)
    for number, *shares in lines:
        if len(shares) < 6 or len(shares) % 2:
            raise ValueError("a line is a class and the points of a polygon; boxes are not masks")
        if int(number) not in names:
            raise ValueError(f"class {int(number)} is not in data.yaml")
        points = np.array(shares, np.float64).reshape(-1, 2) * (width, height)
        fill(mask, points, book.label(names[int(number)]))
    return mask


def _names(path: Path) -> dict[int, str]:
    """The classes by number, of `data.yaml`, or of a list with a class a line."""
    if (path / "classes.txt").is_file():
        return dict(enumerate(map(clean_name, read_text(path / "classes.txt").splitlines())))
    content = read_yaml(path / "data.yaml")
    names = content.get("names") if isinstance(content, dict) else None
    if isinstance(names, list):
        names = dict(enumerate(names))
    if not isinstance(names, dict) or not all(isinstance(k, int) for k in names):
        raise BeyondcamError(f"{path / 'data.yaml'}: lists no names of classes")
    return {k: str(name) for k, name in names.items()}


def _quoted(name: str) -> str:
    """A name as YAML has it in single quotes."""
    return "'" + name.replace("'", "''") + "'"
