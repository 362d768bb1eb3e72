"""Masks as other programs write them, decisions of a review, and readers of each of these files."""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from beyondcam.data import open_images
from beyondcam.exchange import import_masks
from beyondcam.formats import FORMATS, Book, Labelled
from beyondcam.reviews import open_reviews

MASK = np.zeros((12, 16), np.uint8)
MASK[2:9, 3:12] = 1
MASK[4:6, 5:7] = 2


def made() -> Path:
    """Two photos, a mask of one in every format, and decisions about both."""
    root = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    (root / "data/images").mkdir(parents=True)
    for i in "ab":
        Image.new("RGB", (16, 12)).save(root / f"data/images/{i}.png")
    (root / "data/labels.csv").write_text("image,labels\na.png,cat;dog\nb.png,cat\n")
    images = open_images(f"folder:{root / 'data'}", "all")
    for name, form in FORMATS.items():
        form.write([Labelled("a", MASK, {"Author": "eva"})], Book(images), root / name)
    reviews = open_reviews(root / "run", images)
    reviews.decide("a", "accepted", "eva", mask=MASK, recipe="best", levels={"cat": 9}, off=("dog",))
    reviews.undo(reviews.decide("b", "rejected", "eva").key, "eva")
    return root


def read_masks(form: str, file: Path, folder: Path, content: bytes) -> None:
    """Import what is beside a changed file."""
    images = open_images(f"folder:{ROOT / 'data'}", "all")
    shutil.copytree(ROOT / form, folder / form, dirs_exist_ok=True)
    (folder / form / file).write_bytes(content)
    left_out = import_masks(images, open_reviews(folder / "run", images), form, folder / form, "eva").left_out
    assert all(reason.isprintable() for reason in left_out.values())


def read_decisions(folder: Path, content: bytes) -> None:
    images = open_images(f"folder:{ROOT / 'data'}", "all")
    shutil.copytree(ROOT / "run", folder / "reviewed", dirs_exist_ok=True)
    reviews = open_reviews(folder / "reviewed", images)
    (reviews.folder / "decisions.jsonl").write_bytes(content)
    for decision in reviews.masked().values():
        reviews.read(decision)


ROOT = made()

FILES = {
    "coco": "instances.json", "label-studio": "tasks.json", "cvat": "annotations.xml",
    "yolo-seg": "labels/all/a.txt", "voc": "classes.txt", "png": "masks/a.png",
}  # fmt: skip

EXCHANGED: list[tuple[str, bytes, Callable[[Path, bytes], None]]] = [
    *(
        (form, (ROOT / form / file).read_bytes(), partial(read_masks, form, Path(file)))
        for form, file in FILES.items()
    ),
    ("yaml", (ROOT / "yolo-seg/data.yaml").read_bytes(), partial(read_masks, "yolo-seg", Path("data.yaml"))),
    ("decisions", b" " + next(ROOT.rglob("decisions.jsonl")).read_bytes(), read_decisions),
]
"""A reader, sound content, and what reads it; lines of JSON begin with a space, since they are no JSON."""
