"""Seeds for other programs: a COCO file for annotation tools, evidence as the code of IRN takes it."""

from collections.abc import Collection, Sequence
from pathlib import Path

from beyondcam.data import LabelledImages, coco, read_mask
from beyondcam.evidence import Shelf, irn_bytes
from beyondcam.files import write_json, write_whole


def write_coco(images: LabelledImages, left_out: Collection[str], seeds: Path) -> Path:
    """Write `seeds/instances.json` from the masks that `write_seeds` wrote there, all but those left out.

    An image keeps its id where ids are numbers, else it is its place among the images, from 1. Categories
    keep the ids that the data gives them, else they are the places of the classes, from 1.
    """
    numbered = all(i.isdecimal() and i == str(int(i)) for i in images.ids)
    labelled = (
        (int(i) if numbered else place, images.file_name(i), read_mask(seeds / "masks" / f"{i}.png").numpy())
        for place, i in enumerate(images.ids, start=1)
        if i not in left_out
    )
    path = seeds / "instances.json"
    write_json(path, coco.instances(labelled, images.classes, images.category_ids))
    return path


def write_npy(
    images: LabelledImages, known: Sequence[str], shelf: Shelf, left_out: Collection[str], seeds: Path
) -> None:
    """Write `seeds/npy/ID.npy` of all images but those left out; `known` are the classes that keys count."""
    key_of = [known.index(name) for name in images.classes]
    for i in images.ids:
        if i not in left_out:
            write_whole(seeds / "npy" / f"{i}.npy", irn_bytes(shelf.read(i), key_of))
