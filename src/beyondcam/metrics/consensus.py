"""What the two witnesses of a split agree on, which takes the place of masks that nobody drew."""

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
    by_level,
    shelves,
    winners_of,
    witnessed,
)
from beyondcam.metrics.tally import Counts, above, iou
from beyondcam.outcome import LeftOut, attempts
from beyondcam.recipes import Cookbook

Pair = tuple[Winners, Winners]

SHARED = ("targets", "precision")
"""What witnesses have in common with the recipes that they choose τ for; they draw nothing from a seed."""

KEPT = 2**28
"""Bytes of winners that are kept until it is known where they agree; the others are read twice."""


@dataclass(frozen=True)
class Consensus:
    """Masks of some images of a split that are void wherever the witnesses disagree."""

    ids: tuple[str, ...]
    masks: Masks

    def truth(self, image_id: str, size: tuple[int, int]) -> NDArray[np.uint8] | None:
        """The mask of an image of (height, width) `size`; None for an image without witnesses."""
        return self.masks.truth(image_id, size) if image_id in self.ids else None


def consensus(run: Path, images: LabelledImages, shelf: Shelf) -> Consensus | None:
    """What the witnesses of a split agree on in the images of a shelf; None where there are no witnesses.

    Images of which neither these nor the shelf can be read, such as photos that have changed since, have no
    part in it. Raises `BeyondcamError` where some of the others have no witnesses yet, or a file is not
    evidence.
    """
    sample = witnessed(images, shelf.manifest["targets"])
    shared = {key: shelf.manifest[key] for key in SHARED}
    by_recipe = {
        s.manifest["recipe_hash"]: s for s in shelves(run, sample) if shared.items() <= s.manifest.items()
    }
    try:
        a, b = (by_recipe[Cookbook().recipe(name).hash] for name in WITNESSES)
    except KeyError:
        return None
    ids = tuple(i for i in sample.ids if shelf.path(i).exists())
    if missing := [i for i in ids if not (a.path(i).exists() and b.path(i).exists())]:
        raise BeyondcamError(
            f"{run}: {len(missing)} of {len(ids)} images of split {images.split} have no witnesses yet; run "
            "`beyondcam map` again"
        )

    kept: dict[str, Pair] = {}
    seen: list[str] = []

    def read(image_id: str) -> Pair:
        return winners_of(a.read(image_id)), winners_of(b.read(image_id))

    def read_all() -> Iterator[Pair]:
        room = KEPT
        for i, pair in attempts(read, ids):
            if isinstance(pair, LeftOut):
                if shelf.is_current(i):
                    raise BeyondcamError(pair.reason)
                continue
            seen.append(i)
            room -= 4 * pair[0].labels.nbytes
            if room >= 0:
                kept[i] = pair
            yield pair

    levels = agreed_levels(read_all())
    known = {i: agreed(pair, levels) for i, pair in kept.items()}
    kept.clear()

    def mask(image_id: str) -> Tensor:
        labels = known.get(image_id)
        return torch.from_numpy(agreed(read(image_id), levels) if labels is None else labels)

    return Consensus(tuple(seen), Masks(images.classes, mask))


def agreed(pair: Pair, levels: tuple[int, int]) -> NDArray[np.uint8]:
    """The labels (H, W) on which two seeds agree, void elsewhere."""
    a, b = (winners.labels * (winners.levels > level) for winners, level in zip(pair, levels, strict=True))
    return np.where(a == b, a, np.uint8(VOID))


def agreed_levels(pairs: Iterable[Pair]) -> tuple[int, int]:
    """The levels at which the seeds of two recipes agree best, over images.

    There the IoU of the two, its mean over the classes, times the IoU of their backgrounds is highest. The
    mean over background and classes would be highest where neither has any background left.
    """
    pixels = np.zeros((LEVELS, LEVELS), np.int64)  # by the level of a and that of b
    same: dict[int, Counts] = defaultdict(lambda: np.zeros((LEVELS, LEVELS), np.int64))  # where both have k
    won: dict[int, Counts] = defaultdict(lambda: np.zeros((2, LEVELS), np.int64))  # where a or b has k
    for a, b in pairs:
        every = by_level(a.levels, b.levels, LEVELS)
        pixels += every
        winning = sorted({*a.present.tolist(), *b.present.tolist()} - {0})
        if len(winning) == 1 and a.labels.all() and b.labels.all():  # as in most photos
            same[winning[0]] += every
            won[winning[0]] += [every.sum(1), every.sum(0)]
            continue
        for n, winners in enumerate((a, b)):
            for k, counts in zip(winners.present.tolist(), winners.won, strict=True):
                won[k][n] += counts
        for k in winning:
            both = (a.labels == k) & (b.labels == k)
            same[k] += by_level(a.levels[both], b.levels[both], LEVELS)
    won.pop(0, None)
    if not won:
        return 0, 0
    ious = [_iou(above(above(same[k]).T).T, *above(won[k])) for k in won]
    background = _iou(pixels.cumsum(0).cumsum(1), pixels.sum(1).cumsum(), pixels.sum(0).cumsum())
    best = int((np.mean(ious, 0) * background).argmax())
    return best // LEVELS, best % LEVELS


def _iou(both: Counts, a: Counts, b: Counts) -> NDArray[np.float64]:
    """IoU (LEVELS, LEVELS), 0 where there is no union, of pixels of two recipes by level, (LEVELS,) each."""
    return np.nan_to_num(iou(both, a[:, None], b[None]))
