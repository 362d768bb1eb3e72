"""Seeds: evidence and a threshold → label images."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beyondcam.data import LabelledImages, Photo
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Evidence, Shelf, shelves, threshold_level, winners_of
from beyondcam.files import ahead, write_whole
from beyondcam.progress import track
from beyondcam.seeds.palette import encode_labels, overlay


def seed_labels(evidence: Evidence, threshold: float) -> NDArray[np.uint8]:
    """The seed of one image: uint8 (H, W) at the picture's size as stored, 0 background, k class k."""
    winners = winners_of(evidence)
    return np.where(winners.levels > threshold_level(threshold), winners.labels, 0).astype(np.uint8)


def find_shelf(run: Path, images: LabelledImages, recipe: str) -> Shelf:
    """The one shelf of a recipe on a split. Raises `BeyondcamError` where there is none, or several."""
    found = list(shelves(run, images))
    named = [shelf for shelf in found if shelf.name == recipe]
    if not named:
        have = ", ".join(sorted({shelf.name for shelf in found})) or "none"
        raise BeyondcamError(
            f"--recipe {recipe}: no evidence on --split {images.split} (there is: {have}); "
            f"`beyondcam map` makes it"
        )
    if len(named) > 1:
        seeds = ", ".join(f"{s.folder.name} (seed {s.manifest['seed']})" for s in named)
        raise BeyondcamError(f"--recipe {recipe}: several stand under this name: {seeds}; delete all but one")
    return named[0]


def write_seeds(images: LabelledImages, shelf: Shelf, threshold: float, out: Path) -> dict[str, str]:
    """Write `out/masks/ID.png` (VOC palette) and `out/overlays/ID.jpg`; return the images left out."""

    def write(image_id: str) -> str | None:
        try:
            labels = seed_labels(shelf.read(image_id), threshold)
            photo = images.read(image_id)
        except BeyondcamError as error:
            return str(error)
        write_labels(out, image_id, labels, photo)
        return None

    reasons = track(ahead(write, images.ids), "seeds", len(images.ids))
    left_out = {i: reason for i, reason in zip(images.ids, reasons, strict=True) if reason}
    write_whole(out / "classes.txt", class_list(images.classes).encode())
    return left_out


def write_labels(out: Path, name: str, labels: NDArray[np.uint8], photo: Photo) -> None:
    """Write a label image as `out/masks/NAME.png`, and over its photo as `out/overlays/NAME.jpg`."""
    write_whole(out / "masks" / f"{name}.png", encode_labels(labels))
    small = np.asarray(Image.fromarray(labels).resize((photo.width, photo.height), Image.Resampling.NEAREST))
    buffer = io.BytesIO()
    overlay(photo.pixels.permute(1, 2, 0).numpy(), small).save(buffer, "JPEG", quality=90)
    write_whole(out / "overlays" / f"{name}.jpg", buffer.getvalue())


def class_list(classes: Sequence[str]) -> str:
    """Names by line: class k is line k, as in a `folder:`."""
    return "".join(f"{name}\n" for name in classes)
