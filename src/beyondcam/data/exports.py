"""Labels as annotation tools write them: CVAT and LabelImg; Hugging Face's `metadata.jsonl`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from beyondcam.data.rows import Labels, Row, checked
from beyondcam.data.source import clean_name
from beyondcam.decode import read_json_lines, read_xml
from beyondcam.errors import BeyondcamError

SHAPES = ("tag", "box", "polygon", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton")
"""What CVAT labels in an image: the image itself, or a part of it, which is then in the image."""

MAX_BYTES = 2**30
"""Of a file of CVAT's: the runs of masks are written out."""


def read_metadata(path: Path, known: Sequence[str]) -> Labels:
    """The rows of a `metadata.jsonl`: `file_name` with `label`, `labels` or `objects`.

    Classes that are numbered, as in the examples of Hugging Face's datasets, are called by their numbers.
    Raises `BeyondcamError`.
    """
    rows = []
    for line, entry in read_json_lines(path):
        if not isinstance(entry, dict) or not isinstance(entry.get("file_name"), str):
            raise BeyondcamError(f"{path}, line {line}: has no file_name")
        found = [value for value in map(_named, (entry, entry.get("objects"))) if value is not None]
        labels = found[0] if found else frozenset()
        rows.append(Row(f"line {line}", entry["file_name"], labels, "" if found else "has no label"))
    if not any(row.labels for row in rows):
        raise BeyondcamError(f"{path}: has no label, labels or objects.categories")
    return Labels(checked(path, rows, known), f"{path.name} of Hugging Face")


def _named(entry: Any) -> frozenset[str] | None:
    """The classes of an entry, under whatever name they stand; None where there are none."""
    for key in ("labels", "label", "categories", "category"):
        value = entry.get(key) if isinstance(entry, Mapping) else None
        values = value if isinstance(value, list) else [value]
        if all(isinstance(v, str | int) for v in values):
            return frozenset(map(str, values))
    return None


def read_cvat(path: Path, known: Sequence[str]) -> Labels:
    """The rows of CVAT's XML for images, 1.1; one without a tag is unlabelled. Raises `BeyondcamError`."""
    root = read_xml(path, MAX_BYTES)
    if root.tag != "annotations":
        raise BeyondcamError(f"{path}: its root element is not annotations; export it as CVAT for images 1.1")
    if root.find("image") is None:
        raise BeyondcamError(f"{path}: has no image; export it as CVAT for images 1.1")
    rows = []
    for number, image in enumerate(root.iterfind("image"), 1):
        name = image.get("name")
        if not name:
            raise BeyondcamError(f"{path}: image {number} has no name")
        labels = frozenset(shape.get("label", "") for shape in image if shape.tag in SHAPES) - {""}
        problem = "" if labels else "has no tag; give photos of none a tag, and name it by negatives"
        rows.append(Row(f"image {image.get('id', number)}", name, labels, problem))
    return Labels(checked(path, rows, known), f"{path.name}, tags of CVAT")


def read_annotations(folder: Path, known: Sequence[str]) -> Labels:
    """The rows of VOC's XML files in a folder, as LabelImg leaves them. Raises `BeyondcamError`."""
    visible = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    files = [path for path in visible if path.suffix.lower() == ".xml"]
    rows = [Row(path.name, path.stem, names_in_annotation(path)) for path in files]
    return Labels(checked(folder, rows, known), "an XML file of VOC's kind for each")


def names_in_annotation(path: Path) -> frozenset[str]:
    """The classes of the objects in an XML file of VOC's. Raises `BeyondcamError`."""
    annotation = read_xml(path)
    if annotation.tag.rpartition("}")[2] != "annotation":
        raise BeyondcamError(f"{path}: its root element is not annotation")
    names = [clean_name(item.findtext("{*}name") or "") for item in annotation.iterfind("{*}object")]
    if "" in names:
        raise BeyondcamError(f"{path}: an object has no name")
    return frozenset(names)
