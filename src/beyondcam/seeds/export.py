"""Seeds for other programs: a COCO file for annotation tools, evidence as the code of IRN takes it."""

from contextlib import suppress
from pathlib import Path

from beyondcam.data import LabelledImages, coco, read_mask
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Shelf, irn_bytes
from beyondcam.files import write_json, write_whole


def write_coco(images: LabelledImages, seeds: Path) -> Path:
    """Write `seeds/instances.json` from the masks that `write_seeds` left there.

    An image keeps its id where ids are numbers, else it is its place among the images, from 1.
    """
    numbered = all(i.isdecimal() and i == str(int(i)) for i in images.ids)
    masks = {i: seeds / "masks" / f"{i}.png" for i in images.ids}
    labelled = (
        (int(i) if numbered else place, images.file_name(i), read_mask(masks[i]).numpy())
        for place, i in enumerate((i for i in images.ids if masks[i].exists()), start=1)
    )
    path = seeds / "instances.json"
    write_json(path, coco.instances(labelled, images.classes))
    return path


def write_npy(images: LabelledImages, shelf: Shelf, seeds: Path) -> None:
    """Write `seeds/npy/ID.npy` of every image whose evidence can be read."""
    for i in images.ids:
        with suppress(BeyondcamError):  # `write_seeds` has named it
            write_whole(seeds / "npy" / f"{i}.npy", irn_bytes(shelf.read(i)))
