"""Seeds: evidence and a threshold → label images."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID, LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Evidence, Shelf, Threshold, threshold_level, winners_of, won_by
from beyondcam.files import ahead
from beyondcam.label_images import LabelFolder
from beyondcam.outcome import Outcome, attempt
from beyondcam.progress import track


def seed_labels(evidence: Evidence, threshold: float | Threshold, band: float = 0.0) -> NDArray[np.uint8]:
    """The seed of one image: uint8 (H, W) at the picture's size as stored, 0 background, k class k.

    Pixels whose √v is within `band` of √τ are 255, void: the field's two thresholds, (√τ ± band)². Pixels
    whose v is 0 are background all the same.
    """
    winners = winners_of(evidence)
    labels, won = won_by(winners)
    threshold = threshold if isinstance(threshold, Threshold) else Threshold(threshold)
    low, high = np.zeros((2, 256), np.int64)  # levels by label
    for label, tau in zip(labels, threshold.values(won), strict=True):
        low[label], high[label] = (threshold_level(max(0.0, tau**0.5 + side) ** 2) for side in (-band, band))
    seed = np.where(winners.levels > high[winners.labels], winners.labels, np.uint8(VOID))
    return np.where(winners.levels > low[winners.labels], seed, np.uint8(0))


@dataclass(frozen=True)
class Written:
    """What `write_seeds` has written.

    Attributes
    ----------
    void : share of the pixels that are void.
    shown : images in whose seed a class can be seen.
    judged : images whose mask could be read.
    right : share of their other pixels that is right; None without any.
    left_out : images without a seed, with the reason.

    """

    void: float
    shown: int
    judged: int
    right: float | None
    left_out: dict[str, str]


def write_seeds(
    images: LabelledImages,
    shelf: Shelf,
    threshold: float | Threshold,
    out: Path,
    *,
    band: float = 0.0,
    masks: Masks | None = None,
    log: Callable[[str], None] = print,
) -> Written:
    """Write `out/masks/ID.png` (VOC palette) and `out/overlays/ID.jpg`; `masks` serve to count alone.

    Seeds that an earlier call wrote of this split, of photos that have none now, are deleted, and `log` is
    told. Raises `BeyondcamError` where `out` holds data, label images of other classes, or other programs'
    files.
    """
    folder = LabelFolder(out, images.classes, images.data.replace("{split}", images.split))
    before = {name for name, split in folder.names().items() if split == images.split}
    folder.begin(images.split, images.ids)

    def write(image_id: str) -> tuple[int, ...]:
        """Its pixels, its void ones, those that a mask judges, the right ones; whether it shows a class."""
        labels = seed_labels(shelf.read(image_id), threshold, band)
        folder.write(image_id, labels, images.read(image_id))
        return labels.size, int((labels == VOID).sum()), *_judged(labels, image_id, masks), _shows(labels)

    written = track(ahead(attempt(write), images.ids), "seeds", len(images.ids))
    outcome = Outcome.of(zip(images.ids, written, strict=True))
    gone = sorted(before - outcome.results.keys())
    folder.drop({*images.ids, *gone} - outcome.results.keys())
    if gone:
        log(f"{out}: deleted earlier seeds of {len(gone)} images that have none now: {', '.join(gone[:9])}")
    counted = list(outcome.results.values())
    pixels, void, judged, right, shown = np.sum(counted, 0) if counted else (0,) * 5
    masked = sum(counts[2] > 0 for counts in counted)
    return Written(
        void / max(1, pixels), int(shown), masked, right / judged if judged else None, outcome.left_out
    )


def _shows(labels: NDArray[np.uint8]) -> bool:
    return bool(((labels > 0) & (labels != VOID)).any())


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
