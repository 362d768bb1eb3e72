"""The seeds of a split, as files."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID, LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError, some_of
from beyondcam.evidence import Shelf, Threshold
from beyondcam.label_images import LabelFolder, check_apart
from beyondcam.outcome import Outcome
from beyondcam.progress import Log, each
from beyondcam.reviews import Reviews
from beyondcam.seeds.confidence import Found, confidence_file, found_in, write_confidences
from beyondcam.seeds.sources import SeedsAndMasks


@dataclass(frozen=True)
class Written:
    """What `write_seeds` has written.

    Attributes
    ----------
    void : share of the pixels that are void.
    shown : images in whose seed a class can be seen.
    empty : images that have a label, but a seed without any class.
    judged : images whose mask could be read.
    right : share of their other pixels that is right; None without any.
    areas : class → the median share of the picture that it takes where the seed shows it.
    expected : the mean IoU to be expected, see `write_confidences`; None without a second recipe.
    worst : images by their confidence, the least trustworthy first; none without a second recipe.
    left_out : images without a seed, with the reason.

    """

    void: float
    shown: int
    empty: list[str]
    judged: int
    right: float | None
    areas: dict[str, float]
    expected: float | None
    worst: list[str]
    left_out: dict[str, str]

    def empty_seeds(self, images: LabelledImages) -> str:
        """One line for people: which labelled photos have an empty mask; empty where none has."""
        labelled = sum(bool(images.labels.get(i)) and i not in self.left_out for i in images.ids)
        what = f"{len(self.empty)} of {labelled} labelled photos have an empty mask"
        return f"{what}: {some_of(self.empty)}" if self.empty else ""


class _Seed(NamedTuple):
    """What is counted of an image's seed."""

    pixels: int
    void: int
    judged: int  # pixels that are void neither here nor in the mask
    right: int  # of these
    digest: str
    found: list[Found]


def write_seeds(
    images: LabelledImages,
    shelf: Shelf,
    threshold: float | Threshold,
    out: Path,
    *,
    band: float = 0.0,
    second: tuple[Shelf, Threshold] | None = None,
    reviews: Reviews | None = None,
    masks: Masks | None = None,
    log: Log = print,
) -> Written:
    """Write `out/masks/ID.png` (VOC palette) and `out/overlays/ID.jpg`; `masks` serve to count alone.

    A mask that a human accepted or corrected, by the `reviews`, is written in place of a seed. With a
    `second` recipe and its threshold, `out/confidence-SPLIT.csv` says how far to trust each seed. Seeds that
    an earlier call wrote of this split, of photos that have none now, are deleted; `log` is told. Raises
    `BeyondcamError` where `out` holds data, label images of other classes, or other programs' files.
    """
    check_apart(out, images)
    folder = LabelFolder(out, images.classes, images.data.replace("{split}", images.split))
    before = {name for name, split in folder.names().items() if split == images.split}
    folder.begin(images.split, images.ids)
    sources = SeedsAndMasks(images, shelf, threshold, reviews, band)

    def write(image_id: str) -> _Seed:
        mask, evidence = sources.read(image_id)
        labels = mask.labels
        if evidence is None:
            found = [Found(k, float((labels == k).mean()), None) for k in mask.present]
        else:
            other = (second[0].read(image_id), second[1]) if second else None
            found = found_in(labels, evidence, other)
        folder.write(image_id, labels, images.read(image_id), mask.facts)
        digest = reviews.sent.digest(image_id, labels) if reviews else ""
        judged = _judged(labels, image_id, masks)
        return _Seed(labels.size, int((labels == VOID).sum()), *judged, digest, found)

    outcome = Outcome.of(each(write, images.ids, "seeds"))
    gone = sorted(before - outcome.results.keys())
    folder.drop({*images.ids, *gone} - outcome.results.keys())
    if gone:
        log(f"{out}: deleted earlier seeds of {len(gone)} images that have none now: {', '.join(gone[:9])}")
    seeds = outcome.results
    masked = sources.masked
    if reviews:
        reviews.sent.add(seed.digest for seed in seeds.values())
        if lapsed := reviews.lapsed():
            log(lapsed)
    if reviews and (states := Counter(masked[i].state for i in seeds if i in masked)):
        by_state = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
        log(f"{states.total()} masks are a human's, not of {shelf.name}: {by_state} ({reviews.folder})")
    pixels, void, judged, right = (
        np.array([seed[:4] for seed in seeds.values()]).reshape(-1, 4).sum(0).tolist()
    )
    areas: dict[str, list[float]] = {name: [] for name in images.classes}
    for found in (found for seed in seeds.values() for found in seed.found if found.area):
        areas[images.classes[found.label - 1]].append(found.area)
    expected, worst = None, list[str]()
    if second:
        made_here = {i: seed.found for i, seed in seeds.items() if i not in masked}
        expected, worst = write_confidences(images, made_here, out)
    else:
        confidence_file(images, out).unlink(missing_ok=True)  # of other seeds
    return Written(
        void=void / max(1, pixels),
        shown=sum(any(found.area for found in seed.found) for seed in seeds.values()),
        empty=[
            i for i, seed in seeds.items()
            if images.labels.get(i) and i not in masked and not any(found.area for found in seed.found)
        ],
        judged=sum(seed.judged > 0 for seed in seeds.values()),
        right=right / judged if judged else None,
        areas={name: float(np.median(some)) for name, some in areas.items() if some},
        expected=expected, worst=worst, left_out=outcome.left_out,
    )  # fmt: skip


def _judged(labels: NDArray[np.uint8], image_id: str, masks: Masks | None) -> tuple[int, int]:
    """Pixels that are void neither here nor in the mask, and those of them that are right."""
    if masks is None:
        return 0, 0
    try:
        truth = masks.truth(image_id, labels.shape)
    except BeyondcamError:  # few images may have a mask
        return 0, 0
    judged = (labels != VOID) & (truth != VOID)
    return int(judged.sum()), int((labels == truth)[judged].sum())
