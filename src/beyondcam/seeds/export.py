"""Seeds for other programs: a COCO file for annotation tools, evidence as the code of IRN reads it."""

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

from beyondcam.data import LabelledImages, coco, read_mask
from beyondcam.evidence import Shelf, irn_bytes
from beyondcam.evidence.levels import MAX_SIZE
from beyondcam.files import path_below, write_json, write_whole


def write_coco(images: LabelledImages, left_out: Collection[str], seeds: Path) -> Path:
    """Write `seeds/instances.json` from the masks that `write_seeds` wrote there, all but those left out.

    An image keeps its id where ids are numbers, else a number is made of the id, so that files of several
    splits can be put together. Categories keep the ids that the data gives them, else they are the places of
    the classes, from 1.
    """
    numbers: dict[int, str] = {}
    for i in images.ids:
        number = int(i) if i.isdecimal() and i == str(int(i)) else _number(i)
        while number in numbers:
            number += 1
        numbers[number] = i
    labelled = (
        (number, images.file_name(i), read_mask(path_below(seeds / "masks", i, ".png"), MAX_SIZE).numpy())
        for number, i in numbers.items()
        if i not in left_out
    )
    path = seeds / "instances.json"
    write_json(path, coco.instances(labelled, images.classes, images.category_ids))
    return path


def _number(image_id: str) -> int:
    """44 bits of an id's hash: JSON's numbers are exact up to 53, and annotations take eight more."""
    return int(hashlib.sha256(image_id.encode()).hexdigest()[:11], 16)


def write_npy(
    images: LabelledImages, known: Sequence[str], shelf: Shelf, left_out: Collection[str], seeds: Path
) -> None:
    """Write `seeds/npy/ID.npy` of all images but those left out; `known` are the classes that keys count."""
    key_of = [known.index(name) for name in images.classes]
    for i in images.ids:
        if i not in left_out:
            write_whole(path_below(seeds / "npy", i, ".npy"), irn_bytes(shelf.read(i), key_of))
