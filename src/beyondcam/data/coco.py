"""COCO-format data: `coco:IMAGES_DIR:INSTANCES_JSON`.

`{split}` in either path is replaced by the split's name, as in
`coco:coco/{split}2017:coco/annotations/instances_{split}2017.json`. Without it the one file has the splits
train, val (a fifth, by a hash of the id) and all.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pycocotools import mask as rle
from pycocotools.coco import COCO
from torch import Tensor

from beyondcam.data.photo import VOID, read_photo
from beyondcam.data.source import LabelledImages, Masks, choose_classes, index_labels, keep_classes, own_split
from beyondcam.errors import BeyondcamError


def images(place: str, split: str, wanted: Sequence[str] | None) -> LabelledImages:
    """Images of a split; an image's labels are the categories of its annotations."""
    folder, file = _paths(place, split)
    coco = _load(file)
    names = {i: coco.imgs[int(i)]["file_name"] for i in _ids(place, split, coco)}
    files = {i: folder / name for i, name in names.items()}
    known = _category_names(coco)
    classes = choose_classes(wanted, known)
    labels = {i: {coco.cats[a["category_id"]]["name"] for a in coco.imgToAnns[int(i)]} for i in names}
    numbers: dict[str, int] = {category["name"]: category["id"] for category in coco.cats.values()}
    return LabelledImages(
        data="coco:" + ":".join(str(Path(part).resolve()) for part in place.split(":", 1)),
        split=split,
        classes=classes,
        ids=tuple(names),
        labels=index_labels(labels, classes),
        read=lambda i: read_photo(files[i]),
        file_name=names.__getitem__,
        photo=lambda i: str(files[i]),  # each file numbers its own images
        category_ids=tuple(numbers[name] for name in classes),
    )


def masks(place: str, split: str, wanted: Sequence[str] | None) -> Masks:
    """Class masks painted from the instances: larger ones first, so that none hides a smaller one.

    Crowd regions become void where nothing else is.
    """
    _, file = _paths(place, split)
    coco = _load(file)
    known = _category_names(coco)
    classes = choose_classes(wanted, known)
    value = {c["name"]: k for k, c in enumerate(_categories(coco), start=1)}

    def read(image_id: str) -> Tensor:
        image = coco.imgs[int(image_id)]
        mask = np.zeros((image["height"], image["width"]), np.uint8)
        annotations = coco.imgToAnns[int(image_id)]
        try:
            painted = [(a, coco.annToMask(a) > 0) for a in annotations]
        except Exception as error:  # pycocotools raises bare ones
            raise BeyondcamError(f"{file}: image {image_id}: unusable segmentation ({error!r})") from None
        for a, inside in sorted(
            painted, key=lambda p: (not p[0].get("iscrowd", 0), -p[0].get("area", p[1].sum()))
        ):
            mask[inside] = VOID if a.get("iscrowd", 0) else value[coco.cats[a["category_id"]]["name"]]
        return keep_classes(torch.from_numpy(mask), classes, known, f"{file}: image {image_id}")

    return Masks(classes, read)


def instances(
    labelled: Iterable[tuple[int, str, NDArray[np.uint8]]],
    classes: Sequence[str],
    category_ids: Sequence[int] | None = None,
) -> dict[str, Any]:
    """The content of an instances file for label images (H, W), each with its id and its photo's file name.

    One run-length encoded annotation an image and class; void pixels are in none. Class k is of category k,
    where no `category_ids` say otherwise.
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
                "id": len(annotations) + 1, "image_id": number, "category_id": category_ids[k - 1],
                "iscrowd": 0, "area": int(rle.area(runs)), "bbox": rle.toBbox(runs).tolist(),
                "segmentation": {"size": [height, width], "counts": runs["counts"].decode()},
            })  # fmt: skip
    categories = [{"id": own, "name": name} for own, name in zip(category_ids, classes, strict=True)]
    return {"images": pictures, "annotations": annotations, "categories": categories}


def _paths(place: str, split: str) -> tuple[Path, Path]:
    folder, separator, file = place.replace("{split}", split).partition(":")
    if not separator:
        raise BeyondcamError(f"--data coco:{place}: write coco:IMAGES_DIR:INSTANCES_JSON")
    if not Path(folder).is_dir():
        raise BeyondcamError(f"{folder}: no such folder of images")
    return Path(folder), Path(file)


@lru_cache(maxsize=2)
def _load(file: Path) -> COCO:
    try:
        with Path(os.devnull).open("w") as quiet, contextlib.redirect_stdout(quiet):
            coco = COCO(str(file))
        for image in coco.imgs.values():
            missing = {"file_name", "height", "width"} - image.keys()
            if missing or not isinstance(image["id"], int):
                raise ValueError(
                    f"image {image['id']!r} needs {min(missing, default='a whole number as id')}"
                )
        for a in coco.anns.values():
            if a["category_id"] not in coco.cats:
                raise ValueError(
                    f"annotation {a['id']} is of category {a['category_id']}, which is not there"
                )
        return coco
    except FileNotFoundError:
        raise BeyondcamError(f"{file}: no such file") from None
    except (OSError, KeyError, AssertionError, TypeError, ValueError) as error:
        raise BeyondcamError(f"{file}: not a COCO instances file ({error!r})") from None


def _ids(place: str, split: str, coco: COCO) -> tuple[str, ...]:
    ids = [str(i) for i in sorted(coco.imgs)]
    chosen = tuple(ids) if "{split}" in place else own_split(ids, split, f"coco:{place}")
    if not chosen:
        raise BeyondcamError(f"coco:{place}: the split {split} is empty")
    return chosen


def _categories(coco: COCO) -> list[dict[str, str]]:
    return [coco.cats[c] for c in sorted(coco.cats)]


def _category_names(coco: COCO) -> list[str]:
    return [c["name"] for c in _categories(coco)]
