"""COCO's instances: `instances.json`, each class of a photo as one run-length encoded annotation."""

import hashlib
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import LabelledImages, coco
from beyondcam.data.instances import read_instances
from beyondcam.data.painting import paint
from beyondcam.files import write_json
from beyondcam.formats.base import Book, Entry, Labelled, file_in

FILE = "instances.json"


def write(masks: Iterable[Labelled], book: Book, out: Path) -> None:
    """Write `out/instances.json`.

    An image keeps its id where ids are numbers, else a number is made of the id, so that files of several
    splits can be put together. Categories keep the ids that the data gives them, else they are the places of
    the classes, from 1.
    """
    images, facts = book.images, dict[int, dict[str, str]]()
    numbers = _numbers(images)

    def numbered() -> Iterator[tuple[int, str, NDArray[np.uint8]]]:
        for mask in masks:
            facts[numbers[mask.image]] = mask.facts
            yield numbers[mask.image], images.file_name(mask.image), mask.labels

    content = coco.instances(numbered(), images.classes, images.category_ids)
    for picture in content["images"]:
        picture.update(facts[picture["id"]])
    write_json(out / FILE, content)


def read(path: Path, book: Book) -> Iterator[Entry]:
    """Read a file of instances; smaller ones lie on larger ones.

    Crowds are of their class: datumaro, by which CVAT exports, calls every mask one, and only polygons none.
    """
    file = file_in(path, FILE)
    content = read_instances(file)

    def painted(number: int) -> NDArray[np.uint8] | None:
        if number not in content.annotations and number not in content.problems:
            return None
        shown = {a["category_id"] for a in content.annotations.get(number, ())}
        # those of this image alone: a file may have more categories than a mask has values
        names = {category: name for category, name in content.categories.items() if category in shown}
        mask = paint(file.parent, file, content._replace(categories=names), number, crowds=True)
        return book.renumbered(mask, tuple(names.values()))

    for number, picture in content.pictures.items():
        yield Entry(picture.file_name or str(number), partial(painted, number))


def _numbers(images: LabelledImages) -> dict[str, int]:
    """The ids of the images in the file."""
    taken: dict[int, str] = {}
    for i in images.ids:
        number = int(i) if i.isdecimal() and i == str(int(i)) else _number(i)
        while number in taken:
            number += 1
        taken[number] = i
    return {i: number for number, i in taken.items()}


def _number(image_id: str) -> int:
    """44 bits of an id's hash: JSON's numbers are exact up to 53, and annotations take eight more."""
    return int(hashlib.sha256(image_id.encode()).hexdigest()[:11], 16)
