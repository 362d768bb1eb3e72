"""Seeds for other programs: a COCO file for annotation tools, evidence as the code of IRN takes it."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from beyondcam.data import VOID, LabelledImages, read_mask
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Shelf, irn_bytes
from beyondcam.files import write_json, write_whole


def write_coco(images: LabelledImages, seeds: Path) -> Path:
    """Write `seeds/instances.json` from the masks that `write_seeds` left there.

    One run-length encoded annotation an image and class; void pixels are in none. Category k is class k; an
    image keeps its id where ids are numbers, else it is its place among the images, from 1.
    """
    have = [i for i in images.ids if (seeds / "masks" / f"{i}.png").exists()]
    numbered = all(i.isdecimal() and i == str(int(i)) for i in images.ids)
    content: dict[str, Any] = {
        "info": {"description": "pseudo masks made by beyondcam from image-level labels"},
        "categories": [{"id": k, "name": name} for k, name in enumerate(images.classes, start=1)],
        "images": [],
        "annotations": [],
    }
    for place, i in enumerate(have, start=1):
        labels = read_mask(seeds / "masks" / f"{i}.png").numpy()
        number = int(i) if numbered else place
        height, width = labels.shape
        content["images"].append(
            {"id": number, "file_name": images.file_name(i), "height": height, "width": width}
        )
        for annotation in _annotations(labels):
            own = {"id": len(content["annotations"]) + 1, "image_id": number}
            content["annotations"].append(own | annotation)
    path = seeds / "instances.json"
    write_json(path, content)
    return path


def _annotations(labels: NDArray[np.uint8]) -> Iterator[dict[str, Any]]:
    for k in np.setdiff1d(labels, (0, VOID)).tolist():
        encoded = rle.encode(np.asfortranarray(labels == k, np.uint8))
        yield {
            "category_id": k,
            "segmentation": encoded | {"counts": encoded["counts"].decode()},
            "area": int(rle.area(encoded)),
            "bbox": rle.toBbox(encoded).tolist(),
            "iscrowd": 0,
        }


def write_npy(images: LabelledImages, shelf: Shelf, seeds: Path) -> None:
    """Write `seeds/npy/ID.npy` of every image whose evidence can be read."""
    for i in images.ids:
        with suppress(BeyondcamError):  # `write_seeds` has named it
            write_whole(seeds / "npy" / f"{i}.npy", irn_bytes(shelf.read(i)))
