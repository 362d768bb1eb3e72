"""What the two witnesses of a split agree on: where both find the same, that is taken for the truth."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beyondcam.data import VOID, LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import (
    LEVELS,
    WITNESSES,
    Shelf,
    Winners,
    shelves,
    winners_of,
    witnessed,
)
from beyondcam.files import ahead
from beyondcam.metrics.tally import Counts, ImageTally, Sweep, above, iou
from beyondcam.recipes import Cookbook

Pair = tuple[Winners, Winners]

ASKED_LIKE = ("targets", "precision")
"""What the witnesses share with a recipe that they bear on; not its seed, since they draw nothing."""

KEPT = 2**28
"""Bytes of winners that are kept until it is known where they agree; the others are read twice."""


@dataclass(frozen=True)
class Consensus:
    """What the witnesses agree on, void elsewhere, for some images of a split."""

    ids: tuple[str, ...]
    masks: Masks

    def truth(self, image_id: str, size: tuple[int, int]) -> NDArray[np.uint8] | None:
        """What stands in for the mask of an image of (height, width) `size`; None where nobody was asked."""
        return self.masks.truth(image_id, size) if image_id in self.ids else None


def consensus(run: Path, images: LabelledImages, like: Shelf) -> Consensus | None:
    """What the witnesses of a split agree on, asked as the evidence of a shelf was; None without any.

    Raises `BeyondcamError` where some images were not asked about yet, or a file is none of evidence.
    """
    asked = witnessed(images, like.manifest["targets"])
    how = {key: like.manifest[key] for key in ASKED_LIKE}
    found = {s.manifest["recipe_hash"]: s for s in shelves(run, asked) if how.items() <= s.manifest.items()}
    try:
        a, b = (found[Cookbook().recipe(name).hash] for name in WITNESSES)
    except KeyError:
        return None
    ids = tuple(i for i in asked.ids if like.path(i).exists())
    if missing := [i for i in ids if not (a.path(i).exists() and b.path(i).exists())]:
        raise BeyondcamError(
            f"witnesses of --split {images.split}: {len(missing)} of {len(ids)} images are not asked about "
            "yet; run `beyondcam map` again"
        )

    kept: dict[str, Pair] = {}

    def both(image_id: str) -> Pair:
        return winners_of(a.read(image_id)), winners_of(b.read(image_id))

    def keeping() -> Iterator[Pair]:
        room = KEPT
        for i, pair in zip(ids, ahead(both, ids), strict=True):
            room -= 4 * pair[0].labels.nbytes
            if room >= 0:
                kept[i] = pair
            yield pair

    levels = agreed_levels(keeping())
    known = {i: agreed(pair, levels) for i, pair in kept.items()}
    kept.clear()

    def read(image_id: str) -> Tensor:
        found = known.get(image_id)
        return torch.from_numpy(agreed(both(image_id), levels) if found is None else found)

    return Consensus(ids, Masks(images.classes, read))


def agreed(pair: Pair, levels: tuple[int, int]) -> NDArray[np.uint8]:
    """The labels (H, W) that two seeds share, void where they differ."""
    one, other = (
        np.where(winners.levels > level, winners.labels, np.uint8(0))
        for winners, level in zip(pair, levels, strict=True)
    )
    return np.where(one == other, one, np.uint8(VOID))


def best_agreeing(tallies: Iterable[ImageTally], classes: int) -> float | None:
    """The best threshold on what is agreed on; None where that is no object at all.

    A class of which nothing is agreed on has a say only where it takes the place of what is.
    """
    return Sweep.of(tallies, classes).best_threshold("drop")


def agreed_levels(pairs: Iterable[Pair]) -> tuple[int, int]:
    """The levels at which the seeds of two recipes agree best, over images.

    That is where the IoU of the two, its mean over the classes, times that of their backgrounds is highest.
    The mean of both would be highest where neither has any background left.
    """
    every = np.zeros((LEVELS, LEVELS), np.int64)
    same: dict[int, Counts] = defaultdict(lambda: np.zeros((LEVELS, LEVELS), np.int64))
    won: dict[int, Counts] = defaultdict(lambda: np.zeros((2, LEVELS), np.int64))
    for a, b in pairs:
        cells = a.levels.astype(np.intp) * LEVELS + b.levels
        every += np.bincount(cells.ravel(), minlength=LEVELS**2).reshape(LEVELS, LEVELS)
        winning = np.bincount(a.labels.ravel(), minlength=256) + np.bincount(b.labels.ravel(), minlength=256)
        for label in (np.flatnonzero(winning[1:]) + 1).tolist():
            one, other = a.labels == label, b.labels == label
            same[label] += np.bincount(cells[one & other], minlength=LEVELS**2).reshape(LEVELS, LEVELS)
            won[label] += [np.bincount(w.levels[own], minlength=LEVELS) for w, own in ((a, one), (b, other))]
    if not won:
        return 0, 0
    ious = [_iou(above(above(same[k]).T).T, *above(won[k])) for k in won]
    background = _iou(every.cumsum(0).cumsum(1), every.sum(1).cumsum(), every.sum(0).cumsum())
    best = int((np.mean(ious, 0) * background).argmax())
    return best // LEVELS, best % LEVELS


def _iou(both: Counts, a: Counts, b: Counts) -> NDArray[np.float64]:
    """IoU (LEVELS, LEVELS), 0 where there is no union, of pixels of two recipes by level, (LEVELS,) each."""
    return np.nan_to_num(iou(both, a[:, None], b[None]))
