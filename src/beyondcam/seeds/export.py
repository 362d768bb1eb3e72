"""Seeds for other programs: a COCO file for annotation tools, evidence as the code of IRN reads it."""

from collections.abc import Collection, Sequence
from pathlib import Path

from beyondcam.data import LabelledImages
from beyondcam.data.mask_file import read_label_image
from beyondcam.evidence import Shelf, irn_bytes
from beyondcam.files import path_below, write_whole
from beyondcam.formats import Book, Labelled, coco


def write_coco(images: LabelledImages, left_out: Collection[str], seeds: Path) -> Path:
    """Write `seeds/instances.json` from the masks that `write_seeds` wrote there, all but those left out."""
    masks = (
        Labelled(i, read_label_image(path_below(seeds / "masks", i, ".png")), {})
        for i in images.ids
        if i not in left_out
    )
    coco.write(masks, Book(images), seeds)
    return seeds / coco.FILE


def write_npy(
    images: LabelledImages, known: Sequence[str], shelf: Shelf, left_out: Collection[str], seeds: Path
) -> None:
    """Write `seeds/npy/ID.npy` of all images but those left out; `known` are the classes that keys count."""
    key_of = [known.index(name) for name in images.classes]
    for i in images.ids:
        if i not in left_out:
            write_whole(path_below(seeds / "npy", i, ".npy"), irn_bytes(shelf.read(i), key_of))
