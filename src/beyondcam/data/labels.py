"""The files of labels that lie beside photos: which there are, and how each is read."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from beyondcam.data.exports import read_annotations, read_cvat, read_metadata
from beyondcam.data.label_studio import read_label_studio
from beyondcam.data.rows import Labels
from beyondcam.data.source import SPLITS
from beyondcam.data.table import read_labels
from beyondcam.decode import beginning
from beyondcam.errors import BeyondcamError

READERS: Mapping[str, Callable[[Path, Sequence[str]], Labels]] = {
    ".csv": read_labels, ".tsv": read_labels, ".jsonl": read_metadata, ".json": read_label_studio,
    ".xml": read_cvat,
}  # fmt: skip
"""By the suffix of a file."""


def label_files(root: Path) -> list[Path]:
    """The files of labels of a folder: one in itself, or in each folder of a split, or in other folders.

    The others are `images` and `annotations`. `labels.csv` is taken before any other. A folder stands for its
    XML files of VOC's kind, one for each photo. Raises `BeyondcamError` where there are several.
    """
    parts = [path for path in (sorted(root.iterdir()) if root.is_dir() else ()) if path.is_dir()]
    splits = [part for part in parts if part.name.lower() in SPLITS]
    others = [part for part in parts if part.name.lower() in ("images", "annotations")]
    for places in ([root], splits, others):
        if found := [file for place in places if (file := _label_file(place))]:
            return found
    return []


def _label_file(folder: Path) -> Path | None:
    if (folder / "labels.csv").exists():
        return folder / "labels.csv"
    found = sorted(_files(folder))
    if found and all(re.search("<annotation[ >]", beginning(file)) for file in found):
        return folder
    if len(found) > 1:
        names = " and ".join(file.name for file in found[:3])
        raise BeyondcamError(f"{folder}: {names} could hold the labels; say which, as in folder:{found[0]}")
    return found[0] if found else None


def _files(folder: Path) -> Iterator[Path]:
    """The files that could hold labels; a JSON file of Label Studio is a list, others' are none."""
    for file in folder.iterdir() if folder.is_dir() else ():
        suffix = file.suffix.lower()
        listed = suffix != ".json" or beginning(file).startswith("[")
        if suffix in READERS and listed and file.is_file() and not file.name.startswith("."):
            yield file


def read_label_file(path: Path, root: Path, known: Sequence[str]) -> Labels:
    """The rows of a file, or of a folder of such, in `root` or in a folder of it, where its names begin."""
    folder = path if path.is_dir() else path.parent
    read = read_annotations if path.is_dir() else READERS.get(path.suffix.lower(), read_labels)
    labels, inside = read(path, known), folder.relative_to(root).as_posix()
    if inside == ".":
        return labels
    rows = [row._replace(photo=f"{inside}/{row.photo}") for row in labels.rows]
    return Labels(rows, labels.form)
