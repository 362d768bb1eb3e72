"""COCO's instances files, checked before anything is made of them."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from beyondcam.data.source import clean_name
from beyondcam.decode import read_json
from beyondcam.errors import BeyondcamError

Values = Mapping[str, Any]


class Picture(NamedTuple):
    """An image of the file.

    Attributes
    ----------
    file_name : None where the file says none.
    size : (height, width), None where the file says none.

    """

    file_name: str | None
    size: tuple[int, int] | None


class Instances(NamedTuple):
    """What a file says.

    Attributes
    ----------
    pictures : by image id.
    annotations : by image id, as they stand in the file; their `category_id` is one of `categories`.
    categories : id → name, in the order of the ids, without a root that stands for no class.
    problems : image id → what is wrong with one of its annotations.
    labelled : whether the file has any annotation.

    """

    pictures: Mapping[int, Picture]
    annotations: Mapping[int, Sequence[Values]]
    categories: Mapping[int, str]
    problems: Mapping[int, str]
    labelled: bool


def read_instances(file: Path) -> Instances:
    """Read and check a file. Raises `BeyondcamError`."""
    try:
        status = file.stat()
    except OSError as error:
        raise BeyondcamError(f"{file}: no such file") from error
    return _read(file, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=2)
def _read(file: Path, *_: int) -> Instances:
    content = read_json(file, "a COCO instances file")
    try:
        return _checked(content)
    except ValueError as error:
        raise BeyondcamError(f"{file}: {error}") from error


def _checked(content: Any) -> Instances:
    images, annotations, categories = (
        _entries(content, key) for key in ("images", "annotations", "categories")
    )
    pictures = _pictures(images)
    by_image: dict[int, list[Values]] = defaultdict(list)
    problems: dict[int, str] = {}
    names = {_whole(c.get("id"), "a category"): _name(c) for c in categories}
    if len(names) < len(categories):
        raise ValueError("two of its categories have the same id")
    used: set[int] = set()
    for a in annotations:
        image = _number(a.get("image_id"))
        if image not in pictures:
            continue
        category = _number(a.get("category_id"))
        if category in names:
            used.add(category)
            by_image[image].append({**a, "category_id": category})
        else:
            what = f"annotation {a.get('id')!r:.100} is of category {a.get('category_id')!r:.100}"
            problems[image] = f"{what}, which is not there"
    if annotations and not by_image and not problems:
        raise ValueError("its annotations are of other images than it has; were two files mixed up?")
    return Instances(pictures, by_image, _classes(names, used, categories), problems, bool(annotations))


def _entries(content: Any, key: str) -> list[Values]:
    if not isinstance(content, dict) or "images" not in content:
        raise ValueError(
            "not a COCO instances file, which is an object with images, annotations and categories"
        )
    entries = [] if content.get(key) is None else content[key]
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"not a COCO instances file ({key} is no list of objects)")
    return entries


def _number(value: Any) -> int | None:
    """A whole number, also one written as text or as 1.0; None where it is none."""
    if isinstance(value, str) and re.fullmatch(r"-?\d{1,18}", value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _whole(value: Any, of: str) -> int:
    number = _number(value)
    if number is None:
        raise ValueError(f"{of} has the id {value!r:.100}, which is no whole number")
    return number


def _name(category: Values) -> str:
    name = category.get("name")
    if not isinstance(name, str) or not clean_name(name):
        raise ValueError(f"category {category.get('id')!r:.100} has no name")
    return clean_name(name)


def _pictures(images: Iterable[Values]) -> dict[int, Picture]:
    """Images by id, neither ids nor files being there twice. Raises `ValueError`."""
    pictures: dict[int, Picture] = {}
    known_as: dict[str | None, int] = {}
    for image in images:
        number, name = _whole(image.get("id"), "an image"), image.get("file_name")
        height, width = (_number(image.get(side)) or 0 for side in ("height", "width"))
        size = (height, width) if 0 < height < 2**20 and 0 < width < 2**20 else None
        picture = Picture(name if isinstance(name, str) and name else None, size)
        if pictures.setdefault(number, picture) != picture:
            both = f"{pictures[number].file_name} and {picture.file_name}"
            raise ValueError(f"image id {number} is there twice, of {both}; were two files put together?")
        if picture.file_name and known_as.setdefault(picture.file_name, number) != number:
            twice = f"{known_as[picture.file_name]} and {number}"
            raise ValueError(f"{name} is there twice, as images {twice}; were two files put together?")
    return pictures


def _classes(names: Mapping[int, str], used: set[int], categories: Iterable[Values]) -> dict[int, str]:
    """Categories that are classes, in the order of their ids. Raises `ValueError` where two have one name.

    Programs add a root, which no annotation uses and which the others name as what they are kinds of.
    """
    above = {c.get("supercategory") for c in categories if c.get("supercategory") != c.get("name")}
    classes: dict[str, int] = {}
    for number, name in sorted(names.items()):
        other = classes.get(name)
        if other in used and number in used:
            raise ValueError(f"two categories are called {name!r}, {other} and {number}; rename one")
        if number in used or (other is None and name not in above):
            classes[name] = number
    return {number: name for name, number in sorted(classes.items(), key=lambda item: item[1])}
