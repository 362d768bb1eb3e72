"""Seeds: evidence and a threshold → label images."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beyondcam.data import VOID, LabelledImages, Masks, Photo
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import FAMILY, Evidence, Shelf, shelves, threshold_level, winners_of
from beyondcam.files import ahead, read_text, write_whole
from beyondcam.progress import track
from beyondcam.seeds.palette import encode_labels, encoded, overlay


def seed_labels(evidence: Evidence, threshold: float, band: float = 0.0) -> NDArray[np.uint8]:
    """The seed of one image: uint8 (H, W) at the picture's size as stored, 0 background, k class k.

    Pixels whose √v is within `band` of √τ are 255, void: the field's two thresholds, (√τ ± band)². Where v is
    0, though, is background.
    """
    winners = winners_of(evidence)
    low, high = (threshold_level(max(0.0, threshold**0.5 + side) ** 2) for side in (-band, band))
    labels = np.where(winners.levels > high, winners.labels, np.uint8(VOID))
    return np.where(winners.levels > low, labels, np.uint8(0))


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
    named = [shelf for shelf in named if any(shelf.folder.glob("*.png"))] or named[:1]
    if len(named) > 1:
        which = ", ".join(f"{s.folder} of {_asked(s)}" for s in named)
        raise BeyondcamError(f"--recipe {recipe}: several stand under this name: {which}; delete all but one")
    return named[0]


def _asked(shelf: Shelf) -> str:
    return " ".join(f"--{key} {shelf.manifest[key]}" for key in FAMILY)


@dataclass(frozen=True)
class Written:
    """What `write_seeds` has written.

    Attributes
    ----------
    void : share of the pixels that are void.
    judged : images whose mask could be read.
    right : share of their other pixels that is right; None without any.
    left_out : images without a seed, with the reason.

    """

    void: float
    judged: int
    right: float | None
    left_out: dict[str, str]


def write_seeds(
    images: LabelledImages,
    shelf: Shelf,
    threshold: float,
    out: Path,
    *,
    band: float = 0.0,
    masks: Masks | None = None,
) -> Written:
    """Write `out/masks/ID.png` (VOC palette) and `out/overlays/ID.jpg`; `masks` serve to count alone.

    Raises `BeyondcamError` where `out` is no place for them.
    """
    check_out(out, images.classes, images.data.replace("{split}", images.split))

    def write(image_id: str) -> tuple[int, ...] | str:
        try:
            labels = seed_labels(shelf.read(image_id), threshold, band)
            photo = images.read(image_id)
            check_size(photo, labels)
        except BeyondcamError as error:
            return str(error)
        write_labels(out, image_id, labels, photo)
        return labels.size, int((labels == VOID).sum()), *_judged(labels, image_id, masks)

    found = dict(zip(images.ids, track(ahead(write, images.ids), "seeds", len(images.ids)), strict=True))
    write_whole(out / "classes.txt", class_list(images.classes).encode())
    left_out = {i: counts for i, counts in found.items() if isinstance(counts, str)}
    counted = [counts for counts in found.values() if not isinstance(counts, str)]
    pixels, void, judged, right = np.sum(counted, 0) if counted else (0, 0, 0, 0)
    masked = sum(counts[2] > 0 for counts in counted)
    return Written(void / max(1, pixels), masked, right / judged if judged else None, left_out)


def check_out(out: Path, classes: Sequence[str], data: str = "") -> None:
    """See to it that masks written to `out` replace no truth, and stand beside none of other classes.

    `data` is what they are of, as `--data` takes it. Raises `BeyondcamError`.
    """
    if (out / "images").is_dir() or data.endswith(f":{(out / 'instances.json').resolve()}"):
        raise BeyondcamError(f"--out {out}: is a folder of data, whose masks are the truth; name another")
    there = out / "classes.txt"
    if there.exists() and read_text(there) != class_list(classes):
        raise BeyondcamError(f"--out {out}: holds masks of other classes; name another")


def check_size(photo: Photo, labels: NDArray[np.uint8]) -> None:
    """See to it that a label image has its photo's size as stored. Raises `BeyondcamError`."""
    if labels.shape != photo.size:
        height, width = photo.size
        raise BeyondcamError(
            f"its labels are {labels.shape[1]}×{labels.shape[0]} pixels, the image {width}×{height}; "
            "were they made of another?"
        )


def _judged(labels: NDArray[np.uint8], image_id: str, masks: Masks | None) -> tuple[int, int]:
    """Pixels that are void neither here nor in the mask, and those of them that are right."""
    try:
        truth = masks.truth(image_id, labels.shape) if masks else None
    except BeyondcamError:
        truth = None  # few images may have a mask
    if truth is None:
        return 0, 0
    judged = (labels != VOID) & (truth != VOID)
    return int(judged.sum()), int((labels == truth)[judged].sum())


def write_labels(out: Path, name: str, labels: NDArray[np.uint8], photo: Photo) -> None:
    """Write a label image as `out/masks/NAME.png`, and over its photo as `out/overlays/NAME.jpg`."""
    write_whole(out / "masks" / f"{name}.png", encode_labels(labels))
    small = np.asarray(Image.fromarray(labels).resize((photo.width, photo.height), Image.Resampling.NEAREST))
    picture = overlay(photo.pixels.permute(1, 2, 0).numpy(), small)
    write_whole(out / "overlays" / f"{name}.jpg", encoded(picture, "JPEG", quality=90))


def class_list(classes: Sequence[str]) -> str:
    """Names by line: class k is line k, as in a `folder:`."""
    return "".join(f"{name}\n" for name in classes)
