"""A folder of photos: `folder:PATH` with `images/`, `labels.csv` and, if there are any, `masks/`."""

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from beyondcam.data.photo import SUFFIXES, Photo, read_photo
from beyondcam.data.source import LabelledImages, choose_classes, hash_split, index_labels, listed_name
from beyondcam.data.table import Row, read_classes, read_labels, used_names
from beyondcam.errors import BeyondcamError
from beyondcam.files import path_below


class Content(NamedTuple):
    """What a folder holds.

    Attributes
    ----------
    files : id → photo; ids are names without their suffix, in subfolders with `/`.
    labels : id → names of classes, of the photos that `labels.csv` names.
    problems : id → what is wrong with the line that names it.
    known : all classes, in the order in which masks number them.

    """

    files: Mapping[str, Path]
    labels: Mapping[str, frozenset[str]]
    problems: Mapping[str, str]
    known: tuple[str, ...]


def images(place: str, split: str, wanted: Sequence[str] | None, max_pixels: int) -> LabelledImages:
    """Images of a split (train, val or all). Photos that `labels.csv` leaves out are unlabelled.

    Without any `labels.csv` all are, and the classes are the wanted ones.
    """
    root = Path(place)
    files, labels, problems, known = read_folder(root, wanted)
    ids = hash_split(sorted(files.keys() | labels.keys() | problems.keys()), split, f"folder:{place}")
    if not ids:
        raise BeyondcamError(f"folder:{place}: the split {split} is empty")
    classes = choose_classes(wanted, known)

    def path(image_id: str) -> Path:
        if image_id in problems:
            raise BeyondcamError(problems[image_id])
        return files.get(image_id, root / "images" / image_id)

    def read(image_id: str) -> Photo:
        return read_photo(path(image_id), max_pixels=max_pixels)

    missing = f"{root / 'labels.csv'}: has no line for it"
    return LabelledImages(
        data=f"folder:{root.resolve()}",
        split=split,
        classes=classes,
        ids=ids,
        labels=index_labels({i: labels[i] for i in ids if i in labels}, classes),
        unlabelled={i: problems.get(i, missing) for i in ids if i not in labels},
        read=read,
        file_name=lambda i: path(i).relative_to(root / "images").as_posix(),
        path=path,
    )


def read_folder(root: Path, wanted: Sequence[str] | None) -> Content:
    """The photos, labels and classes of a folder. Raises `BeyondcamError`."""
    if not (root / "images").is_dir():
        raise BeyondcamError(
            f"{root / 'images'}: no such folder of images; say where it is", parameter="data"
        )
    files = files_by_name(root / "images", SUFFIXES)
    listed = read_classes(root / "classes.txt")
    rows = read_labels(root / "labels.csv", listed or wanted or ())
    labels, problems = _by_photo(root, rows, files)
    return Content(files, labels, problems, _classes(root, listed, used_names(labels), wanted))


def composed(name: str) -> str:
    """A name with its accents composed; control characters and bytes that are no UTF-8 are quoted.

    Some systems take é apart, into e and an accent.
    """
    quoted = re.sub("[\x00-\x1f\x7f\udc80-\udcff]", lambda c: f"%{ord(c[0]) & 0xFF:02X}", name)
    return unicodedata.normalize("NFC", quoted)


def files_by_name(folder: Path, suffixes: Sequence[str]) -> dict[str, Path]:
    """Name without its suffix, in a subfolder with `/` → file, of all with such a suffix in a folder.

    Raises `BeyondcamError` where two have the same name.
    """
    files: dict[str, Path] = {}
    for path in files_below(folder, suffixes):
        key = composed(path.relative_to(folder).with_suffix("").as_posix())
        if key in files:
            raise BeyondcamError(f"{path}: has the same name as {files[key].name}; rename one")
        files[key] = path
    return files


def files_below(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    """The files with such a suffix in a folder and its subfolders, in order, but for hidden ones.

    Raises `BeyondcamError` where one cannot be looked into.
    """

    def refuse(error: OSError) -> None:
        if folder.exists():
            raise BeyondcamError(f"{error.filename}: could not be read ({error.strerror})") from error

    for parent, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                yield Path(parent, name)


def _by_photo(
    root: Path, rows: Sequence[Row], files: dict[str, Path]
) -> tuple[dict[str, frozenset[str]], dict[str, str]]:
    """Id → names of classes, and id → what is wrong with the line that names it.

    Photos whose suffix is not among those that are looked for are added to `files`.
    """
    folder, path = root / "images", root / "labels.csv"
    by_case = {name.casefold(): name for name in files}
    labels: dict[str, frozenset[str]] = {}
    problems: dict[str, str] = {}
    seen: dict[str, Row] = {}
    for row in rows:
        name = listed_name(folder, composed(row.photo))
        image_id = _without_suffix(name)
        if image_id not in files:  # as other programs write it
            image_id = by_case.get(image_id.removeprefix("images/").casefold(), image_id)
        try:
            if image_id not in files and (own := path_below(folder, name)).is_file():
                files[name], image_id = own, name
        except BeyondcamError as error:
            problems[image_id] = f"{path}, line {row.line}: {error}"
            continue
        first = seen.setdefault(image_id, row)
        if first is not row and (first.photo != row.photo or {len(first.labels), len(row.labels)} != {1}):
            raise BeyondcamError(f"{path}, line {row.line}: {row.photo} stands here twice")
        labels[image_id] = labels.get(image_id, frozenset()) | row.labels
    return labels, problems


def _without_suffix(name: str) -> str:
    suffix = Path(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in SUFFIXES else name


def _classes(
    root: Path, listed: Sequence[str], used: Sequence[str], wanted: Sequence[str] | None
) -> tuple[str, ...]:
    """The classes of `classes.txt`, else the label names in sorted order, else those asked for.

    Labels may also show only some of those asked for, as those of a few more photos for a trained classifier.
    """
    if strays := sorted(set(used) - set(listed)) if listed else []:
        raise BeyondcamError(f"{root / 'labels.csv'}: label {strays[0]!r} is not in classes.txt")
    if listed:
        return tuple(listed)
    if not used and not wanted:
        raise BeyondcamError(f"{root / 'labels.csv'}: names no class; its header is image,labels")
    if wanted and set(used) <= set(wanted):
        return tuple(sorted(set(wanted)) if used else wanted)
    return tuple(used)
