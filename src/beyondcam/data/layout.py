"""What somebody's path is, told by what lies there."""

import re
from pathlib import Path

from beyondcam.data.labels import READERS, label_files
from beyondcam.data.source import SPLITS
from beyondcam.decode import beginning
from beyondcam.errors import BeyondcamError

ROBOFLOW = "_annotations.coco.json"
"""What Roboflow calls COCO's file, which lies among the photos of each split."""


def kind_of(data: str) -> str:
    """Data with its kind in front; what is no path stays as it is.

    A folder with `JPEGImages` is VOC's. COCO's file lies in the folder or in `annotations`, or there is one
    for each split. A file of labels, or a folder `images`, makes a `folder:`, all else an `imagefolder:`.
    Raises `BeyondcamError` where several files could hold the labels.
    """
    path = Path(data)
    if path.is_file() and path.suffix.lower() in READERS:
        return _coco(path, path.parent) if _is_coco(path) else f"folder:{data}"
    if (path / "JPEGImages").is_dir():
        return f"voc:{data}"
    if (path / "labels.csv").exists():
        return f"folder:{data}"
    return _told_by_files(path) if data and path.is_dir() else data


def _told_by_files(path: Path) -> str:
    """A folder's data, by the files of labels in it, or without any by its folders."""
    inside = path / "images"
    there = [file for folder in (path, path / "annotations") for file in sorted(folder.glob("*.json"))]
    found = [file for file in there if not file.name.startswith("captions") and _is_coco(file)]
    beside = [file for file in found if any((folder / _name(file)).is_dir() for folder in (path, inside))]
    for files in (found, beside):
        if len(files) == 1:
            return _coco(files[0], path)
    parts = [file for file in found if file.name.startswith("instances_train")]
    if parts and (folders := [*sorted(path.glob("train*/")), *sorted(path.glob("images/train*/"))]):
        folder, file = (p.with_name(p.name.replace("train", "{split}")) for p in (folders[0], parts[0]))
        return f"coco:{folder}:{file}"
    if exported := [split for split in SPLITS if (path / split / ROBOFLOW).is_file()]:
        folder = path / (exported[0] if len(exported) == 1 else "{split}")
        return f"coco:{folder}:{folder / ROBOFLOW}"
    if label_files(path):
        return f"folder:{path}"
    if found:
        names = " and ".join(file.name for file in found[:3])
        raise BeyondcamError(
            f"{path}: {names} could hold the labels; say which, as in {_coco(found[0], path)}, or write "
            "imagefolder:PATH where folders are the classes"
        )
    if inside.is_dir() and not any(child.is_dir() for child in inside.iterdir()):
        return f"folder:{path}"
    return f"imagefolder:{inside if inside.is_dir() else path}"


def _is_coco(file: Path) -> bool:
    """Whether a file begins as COCO's do, whose parts come in any order."""
    return bool(re.match(r'{\s*"(info|licenses|images|annotations|categories|type)"', beginning(file)))


def _coco(file: Path, folder: Path) -> str:
    """The data of a file, whose photos lie in `images`, or there or beside that in a folder called as it."""
    names = [f"images/{_name(file)}", "images", _name(file)]
    places = [base / name for base in (folder, folder.parent) for name in names]
    photos = next((place for place in places if place.is_dir()), folder)
    return f"coco:{photos}:{file}"


def _name(file: Path) -> str:
    """What the folder with the photos of a file may be called."""
    return file.stem.removeprefix("instances_")
