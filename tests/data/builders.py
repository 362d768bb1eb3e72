"""Small data sets of every source, and what is found in them."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from beyondcam.data import open_images, read_photo
from beyondcam.errors import BeyondcamError


def pixels_of(path: Path) -> list[list[list[int]]]:
    """A photo's pixels as rows of (R, G, B)."""
    return read_photo(path).pixels.permute(1, 2, 0).tolist()


def refusal(call) -> str | None:
    """The message of the `BeyondcamError` that `call` raises, None where it raises nothing."""
    try:
        call()
    except BeyondcamError as error:
        return str(error)
    return None


def mode_of(path: Path) -> str:
    """The mode a picture is stored in, lest a test test another one than it says."""
    with Image.open(path) as picture:
        return picture.mode


def make_voc(root: Path, *, xml: bool = True, masks: bool = True) -> Path:
    """Two images: `a` with a cat and a dog, `b` with nothing but background."""
    for folder in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text("a\nb\n")
    mask = np.zeros((4, 6), np.uint8)
    mask[0], mask[1], mask[2] = 8, 12, 255  # cat, dog, void
    for name, values in (("a", mask), ("b", np.zeros((4, 6), np.uint8))):
        Image.new("RGB", (6, 4), "green").save(root / f"JPEGImages/{name}.jpg")
        if masks:
            Image.fromarray(values).save(root / f"SegmentationClass/{name}.png")
    if xml:
        objects = "".join(f"<object><name>{name}</name></object>" for name in ("dog", "cat", "dog"))
        part = "<object><name>dog</name><part><name>head</name></part></object>"
        (root / "Annotations/a.xml").write_text(f"<annotation>{objects}{part}</annotation>")
        (root / "Annotations/b.xml").write_text("<annotation></annotation>")
    if not masks:
        (root / "SegmentationClass").rmdir()
    return root


def present(images, image_id: str) -> set[str]:
    return {images.classes[c] for c in images.labels[image_id]}


def photos(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(folder / name)
    return folder


def labels_of(data: str, split: str = "all") -> dict[str, set[str]]:
    images = open_images(data, split)
    return {i: present(images, i) for i in images.ids if i in images.labels}


def make_folder(root: Path, table: str, *, classes: str | None = None, names: str = "a b c") -> str:
    (root / "images").mkdir(parents=True)
    for name in names.split():
        Image.new("RGB", (3, 2)).save(root / f"images/{name if '.' in name else name + '.png'}")
    (root / "labels.csv").write_text(table, encoding="utf-8")
    if classes is not None:
        (root / "classes.txt").write_text(classes, encoding="utf-8")
    return f"folder:{root}"


def rectangle(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def annotation(image: int, category: int, segmentation, area: float, crowd: int = 0) -> dict[str, object]:
    numbers = {"image_id": image, "category_id": category, "area": area, "iscrowd": crowd}
    return {"id": area, "segmentation": segmentation, "bbox": [0, 0, 1, 1], **numbers}


CATEGORIES = [{"id": 90, "name": "zebra"}, {"id": 3, "name": "cat"}, {"id": 17, "name": "dog"}]


def make_coco(root: Path, annotations=None, *, name: str = "instances.json", **changes) -> str:
    """Image 12 has a zebra in front of a cat, and a crowd of dogs; image 7 has nothing. 8 × 6 pixels."""
    for folder in (root / "images", (root / name).parent):
        folder.mkdir(parents=True, exist_ok=True)
    for i in (7, 12):
        Image.new("RGB", (8, 6), (i, 0, 0)).save(root / f"images/{i:04}.png")
    content = {
        "images": [{"id": i, "file_name": f"{i:04}.png", "width": 8, "height": 6} for i in (12, 7)],
        "categories": CATEGORIES,
        "annotations": [
            annotation(12, 90, rectangle(1, 1, 3, 3), 4),
            annotation(12, 3, rectangle(0, 0, 6, 4), 24),
            # runs down the columns: five columns of 6 pixels are not of the crowd, the last three are
            annotation(12, 17, {"size": [6, 8], "counts": [30, 18]}, 18.5, crowd=1),
        ]
        if annotations is None
        else annotations,
    }
    (root / name).write_text(json.dumps(content | changes))
    return f"coco:{root / 'images'}:{root / name}"
