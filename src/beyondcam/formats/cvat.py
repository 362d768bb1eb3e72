"""CVAT for images 1.1: `annotations.xml`, whose masks are runs over the pixels of their box, row by row."""

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.data.exports import MAX_BYTES
from beyondcam.data.folder import composed
from beyondcam.decode import read_xml
from beyondcam.errors import BeyondcamError
from beyondcam.files import write_whole
from beyondcam.formats.base import Book, Entry, Labelled, file_in
from beyondcam.formats.polygons import fill

FILE = "annotations.xml"


def write(masks: Iterable[Labelled], book: Book, out: Path) -> None:
    """Write `out/annotations.xml`, to be uploaded to a task that has the photos and these labels."""
    root = ET.Element("annotations")
    ET.SubElement(root, "version").text = "1.1"
    labels = ET.SubElement(ET.SubElement(ET.SubElement(root, "meta"), "task"), "labels")
    for name in book.images.classes:
        ET.SubElement(ET.SubElement(labels, "label"), "name").text = name
    for number, mask in enumerate(masks):
        height, width = mask.labels.shape
        facts = {name.lower().replace(" ", "_"): fact for name, fact in mask.facts.items()}
        size = {"width": str(width), "height": str(height)}
        named = {"id": str(number), "name": composed(book.images.file_name(mask.image))}
        image = ET.SubElement(root, "image", named | size | facts)
        for k in mask.present:
            shape = {"label": book.images.classes[k - 1], "source": "manual" if mask.facts else "auto"}
            shape |= {"occluded": "0", "z_order": "0"}
            ET.SubElement(image, "mask", shape | _runs(mask.labels == k))
    ET.indent(root)
    write_whole(out / FILE, ET.tostring(root, "utf-8", xml_declaration=True))


def read(path: Path, book: Book) -> Iterator[Entry]:
    """Read the masks and polygons of a file, those of a higher z_order last."""
    file = file_in(path, FILE)
    root = read_xml(file, MAX_BYTES)
    if root.tag != "annotations" or root.find("track") is not None:
        raise BeyondcamError(f"{file}: not as CVAT exports images; choose 'CVAT for images 1.1'")
    for image in root.iter("image"):
        yield Entry(image.get("name", ""), partial(_painted, image, book))


def _painted(image: ET.Element, book: Book) -> NDArray[np.uint8] | None:
    shapes = [shape for shape in image if shape.get("label") is not None and shape.tag != "tag"]
    if not shapes:
        return None
    mask = book.canvas(image.attrib["name"], (int(image.attrib["height"]), int(image.attrib["width"])))
    for shape in sorted(shapes, key=lambda shape: int(shape.get("z_order", "0"))):
        _paint(mask, shape, book.label(shape.attrib["label"]))
    return mask


def _paint(mask: NDArray[np.uint8], shape: ET.Element, label: int) -> None:
    if shape.tag == "polygon":
        points = [pair.split(",") for pair in shape.attrib["points"].split(";")]
        fill(mask, np.array(points, np.float64), label)
        return
    if shape.tag != "mask":
        raise ValueError(f"a {shape.tag} is neither a mask nor a polygon")
    left, top, width, height = (int(shape.attrib[key]) for key in ("left", "top", "width", "height"))
    if (
        min(left, top, width - 1, height - 1) < 0
        or left + width > mask.shape[1]
        or top + height > mask.shape[0]
    ):
        raise ValueError("the box of a mask leaves the photo")
    runs = np.array(shape.attrib["rle"].split(","), np.int64)
    if runs.min() < 0 or runs.max() > width * height or runs.sum() != width * height:
        raise ValueError(f"the runs of a mask are not of {width}×{height} pixels")
    inside = np.repeat(np.arange(len(runs)) % 2 == 1, runs).reshape(height, width)
    mask[top : top + height, left : left + width][inside] = label


def _runs(mask: NDArray[np.bool_]) -> dict[str, str]:
    """The box of a mask, and its runs there: outside and inside in turn, outside first."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, left, height, width = rows[0], columns[0], np.ptp(rows) + 1, np.ptp(columns) + 1
    flat = mask[top : top + height, left : left + width].ravel()
    ends = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff(np.concatenate([[0] if not flat[0] else [0, 0], ends, [flat.size]]))
    box = {"left": left, "top": top, "width": width, "height": height}
    return {"rle": ", ".join(map(str, runs.tolist()))} | {name: str(value) for name, value in box.items()}
