"""PASCAL VOC 2012 and folders laid out like it: `voc:PATH`."""

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from beyondcam.data.photo import read_mask, read_photo
from beyondcam.data.source import LabelledImages, Masks, choose_classes, index_labels, keep_classes
from beyondcam.errors import BeyondcamError
from beyondcam.files import read_text

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def images(place: str, split: str, wanted: Sequence[str] | None) -> LabelledImages:
    """Images of a split; labels from `Annotations/ID.xml` where there is one, else from the mask."""
    root = Path(place)
    ids = _split_ids(root, split)
    classes = choose_classes(wanted, CLASSES)
    names, unlabelled = _label_table(root, ids)
    folder = root / "JPEGImages"
    return LabelledImages(
        data=f"voc:{root.resolve()}",
        split=split,
        classes=classes,
        ids=ids,
        labels=index_labels(names, classes),
        unlabelled=unlabelled,
        read=lambda i: read_photo(folder / f"{i}.jpg"),
        file_name=lambda i: f"{i}.jpg",
    )


def masks(place: str, split: str, wanted: Sequence[str] | None) -> Masks | None:
    """The masks of `SegmentationClass`, or None where there is no such folder."""
    root = Path(place)
    _split_ids(root, split)
    folder = root / "SegmentationClass"
    if not folder.is_dir():
        return None
    classes = choose_classes(wanted, CLASSES)

    def read(image_id: str) -> Tensor:
        path = folder / f"{image_id}.png"
        return keep_classes(read_mask(path), classes, CLASSES, str(path))

    return Masks(classes, read)


def _split_ids(root: Path, split: str) -> tuple[str, ...]:
    path = root / "ImageSets" / "Segmentation" / f"{split}.txt"
    if not path.is_file():
        have = sorted(p.stem for p in path.parent.glob("*.txt"))
        raise BeyondcamError(f"{path}: no such split; there are: {', '.join(have) or 'none'}")
    ids = tuple(line.split()[0] for line in read_text(path).splitlines() if line.strip())
    if not ids:
        raise BeyondcamError(f"{path}: the split is empty")
    if twice := [i for i, times in Counter(ids).items() if times > 1]:
        raise BeyondcamError(f"{path}: {twice[0]} stands here twice")
    return ids


def _label_table(root: Path, ids: Sequence[str]) -> tuple[dict[str, set[str]], dict[str, str]]:
    """Class names present in each image, and the reason for each image that has none on record."""
    table, missing = {}, {}
    for i in ids:
        xml = root / "Annotations" / f"{i}.xml"
        try:
            table[i] = _names_in_xml(xml) if xml.is_file() else _names_in_mask(root, i)
        except BeyondcamError as error:
            missing[i] = str(error)
    return table, missing


def _names_in_xml(path: Path) -> set[str]:
    try:
        tree = ET.parse(path)  # noqa: S314  (expat here neither resolves external entities nor runs code)
    except ET.ParseError as error:
        raise BeyondcamError(f"{path}: not readable as XML ({error})") from None
    names = {(name.text or "").strip() for name in tree.iterfind("object/name")}
    strays = sorted(names - set(CLASSES))
    if strays:
        raise BeyondcamError(f"{path}: {strays[0]!r} is none of the VOC classes")
    return names


def _names_in_mask(root: Path, image_id: str) -> set[str]:
    values = torch.unique(read_mask(root / "SegmentationClass" / f"{image_id}.png")).tolist()
    return {CLASSES[v - 1] for v in values if 1 <= v <= len(CLASSES)}
