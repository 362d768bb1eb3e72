"""COCO-format data: `coco:IMAGES_DIR:INSTANCES_JSON`.

`{split}` in either path is replaced by the split's name, or another of its folder (valid for val), as in
`coco:coco/{split}2017:coco/annotations/instances_{split}2017.json`. Without it the one file has the splits
train, val (a fifth, by a hash of the id) and all.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from beyondcam.data.instances import Instances, Picture, read_instances
from beyondcam.data.photo import VOID, read_photo
from beyondcam.data.source import (
    SPLITS,
    LabelledImages,
    check_case,
    choose_classes,
    hash_split,
    index_labels,
    listed_name,
)
from beyondcam.errors import BeyondcamError
from beyondcam.files import file_below, path_below


class Place(NamedTuple):
    """The two paths of the data for a split, and the data by its absolute paths."""

    folder: Path
    file: Path
    data: str


def images(place: str, split: str, wanted: Sequence[str] | None, max_pixels: int) -> LabelledImages:
    """Images of a split; an image's labels are the categories of its annotations."""
    folder, file, data = find(place, split)
    content = read_instances(file)
    known = class_names(content, file, wanted)
    classes = choose_classes(wanted, known)
    pictures = {i: content.pictures[int(i)] for i in _ids(place, split, content)}
    problems = {str(i): f"{file}: image {i}: {why}" for i, why in content.problems.items()}
    if not content.labelled:
        problems = dict.fromkeys(pictures, f"{file}: has no annotations")
    labels = {
        i: {content.categories[a["category_id"]] for a in content.annotations.get(int(i), ())}
        for i in pictures
        if i not in problems
    }
    numbers = {name: number for number, name in content.categories.items()}

    def path(image_id: str) -> Path:
        return photo_path(folder, file, image_id, pictures[image_id])

    def file_name(image_id: str) -> str:
        try:
            return path(image_id).relative_to(folder).as_posix()
        except (BeyondcamError, ValueError):  # it is written in a way that leads nowhere here
            return listed_name(folder, pictures[image_id].file_name or image_id)

    return LabelledImages(
        data=data,
        split=split,
        classes=classes,
        ids=tuple(pictures),
        labels=index_labels(labels, classes),
        unlabelled={i: why for i, why in problems.items() if i in pictures},
        read=lambda i: read_photo(path(i), max_pixels=max_pixels),
        file_name=file_name,
        path=path,
        photo=lambda i: f"{folder}/{pictures[i].file_name or i}",  # each file numbers its own images
        form=f"photos with {file.name}, in COCO's format",
        category_ids=tuple(numbers[name] for name in classes) if numbers else None,
    )


def photo_path(folder: Path, file: Path, image_id: str, picture: Picture) -> Path:
    """Where a photo is. Raises `BeyondcamError` where the file does not say, or says a place elsewhere.

    Its name may begin with a path to the folder, as another machine or Label Studio has it.
    """
    if picture.file_name is None:
        raise BeyondcamError(f"{file}: image {image_id} has no file_name")
    name = listed_name(folder, picture.file_name)
    _, _, inside = f"/{name}".rpartition(f"/{folder.absolute().name}/")
    for own in (picture.file_name, name, inside):
        with suppress(BeyondcamError, OSError):  # which reading it says
            if (path := file_below(folder, own)).is_file():
                return path
    return path_below(folder, name)


def class_names(content: Instances, file: Path, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """All classes; those asked for where the file has no categories, as a list of photos to predict."""
    known = tuple(content.categories.values()) or tuple(wanted or ())
    if not known:
        raise BeyondcamError(f"{file}: has no categories; name the classes", parameter="classes")
    check_case(((file, name) for name in known), {*known}.intersection(wanted or ()))
    return known


def find(place: str, split: str) -> Place:
    """The paths in `IMAGES_DIR:INSTANCES_JSON`, which may themselves hold colons. Raises `BeyondcamError`."""
    ends = [n for n, character in enumerate(place) if character == ":"]
    if not ends:
        raise BeyondcamError(f"coco:{place}: write coco:IMAGES_DIR:INSTANCES_JSON", parameter="data")
    places, names = [], [split, *(name for name, own in SPLITS.items() if own == split)]
    for n, name in product(ends, names):
        folder, file = (Path(part.replace("{split}", name)) for part in (place[:n], place[n + 1 :]))
        data = ":".join(str(Path(part).resolve()) for part in (place[:n], place[n + 1 :]))
        places.append(Place(folder, file, f"coco:{data}"))
    there = [p for p in places if p.folder.is_dir()] or places
    best = next((p for p in there if p.file.is_file()), there[0])
    if not best.folder.is_dir():
        raise BeyondcamError(f"{best.folder}: no such folder of images; say where it is", parameter="data")
    return best


def instances(
    labelled: Iterable[tuple[int, str, NDArray[np.uint8]]],
    classes: Sequence[str],
    category_ids: Sequence[int] | None = None,
) -> dict[str, Any]:
    """The content of an instances file for label images (H, W), each with its id and its photo's file name.

    One run-length encoded annotation an image and class, its id made of theirs; void pixels are in none.
    Class k is of category k where no `category_ids` say otherwise.
    """
    category_ids = category_ids or range(1, len(classes) + 1)
    pictures: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, file_name, labels in labelled:
        height, width = labels.shape
        pictures.append({"id": number, "file_name": file_name, "height": height, "width": width})
        for k in np.setdiff1d(labels, (0, VOID)).tolist():
            runs = rle.encode(np.asfortranarray(labels == k, np.uint8))
            annotations.append({
                "id": number * 256 + k, "image_id": number, "category_id": category_ids[k - 1],
                "iscrowd": 0, "area": int(rle.area(runs)), "bbox": rle.toBbox(runs).tolist(),
                "segmentation": {"size": [height, width], "counts": runs["counts"].decode()},
            })  # fmt: skip
    categories = [{"id": number, "name": name} for number, name in zip(category_ids, classes, strict=True)]
    return {"images": pictures, "annotations": annotations, "categories": categories}


def _ids(place: str, split: str, content: Instances) -> tuple[str, ...]:
    ids = [str(i) for i in sorted(content.pictures)]
    chosen = tuple(ids) if "{split}" in place else hash_split(ids, split, f"coco:{place}")
    if not chosen:
        raise BeyondcamError(f"coco:{place}: the split {split} is empty")
    return chosen
