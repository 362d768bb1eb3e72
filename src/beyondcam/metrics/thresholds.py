"""Thresholds as a user writes them: a value, or the name of a rule."""

from pathlib import Path

import numpy as np

from beyondcam.data import VOID, LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import (
    FAMILY,
    LEVELS,
    Shelf,
    threshold_level,
    winners_of,
)
from beyondcam.metrics.consensus import ASKED_LIKE, Consensus, best_agreeing, consensus
from beyondcam.metrics.rows import Row, read_scores
from beyondcam.metrics.score import within_unit
from beyondcam.metrics.tally import Sweep, tallies_of

_SAME = ("recipe_hash", "checkpoint", *FAMILY)


def threshold_of(
    run: Path, shelf: Shelf, images: LabelledImages, text: str, masks: Masks | None = None
) -> float:
    """A threshold on the evidence of a shelf, as `--threshold` gives it.

    A value in [0, 1]; `blind`, the best on what the split's witnesses agree on; `few:ID,ID`, the best on the
    `masks` of these images; or `few`, `train` or `oracle` as `score` has answered them.
    """
    rule, _, named = text.partition(":")
    classes = len(images.classes)
    if text == "blind":
        agreed = _agreed(run, shelf, images, "--threshold")
        found = best_agreeing(tallies_of(shelf, agreed.ids, agreed.masks), classes)
        if found is None:
            raise BeyondcamError(
                f"--threshold blind: on --split {images.split} witnesses agree on no object; give a value"
            )
        return found
    if rule == "few" and named:
        ids = sorted({name.strip() for name in named.split(",")})
        if masks is None:
            raise BeyondcamError(f"--threshold {text}: no masks to choose τ by here; take blind or a value")
        if unknown := set(ids) - set(images.ids):
            raise BeyondcamError(f"--threshold {text}: {images.split} has no image {min(unknown)}")
        if missing := [i for i in ids if not shelf.path(i).exists()]:
            raise BeyondcamError(f"--threshold {text}: {missing[0]} is not mapped; `beyondcam map` does it")
        found = Sweep.of(tallies_of(shelf, ids, masks), classes).best_threshold()
        if found is None:
            raise BeyondcamError(f"--threshold {text}: no object in these masks; name other images")
        return found
    try:
        return within_unit(text, "--threshold")
    except ValueError:
        return _by_rule(run, shelf, images, text)


def band_of(run: Path, shelf: Shelf, images: LabelledImages, text: str, threshold: float) -> float:
    """How close to √τ a pixel's √v is left void, as `--void` gives it.

    A value in [0, 1]; or `blind`, the least by which as much is void as the split's witnesses disagree about.
    """
    if text != "blind":
        try:
            return within_unit(text, "--void")
        except ValueError:
            raise BeyondcamError(f"--void {text}: write a value between 0 and 1, or blind") from None
    agreed = _agreed(run, shelf, images, "--void")
    counts, open_to_doubt = np.zeros(LEVELS, np.int64), 0
    for i in agreed.ids:
        counts += np.bincount(winners_of(shelf.read(i)).levels.ravel(), minlength=LEVELS)
        open_to_doubt += int((agreed.masks.read(i) == VOID).sum())
    level, last = np.arange(LEVELS), threshold_level(threshold)
    steps = np.where(level > last, level - last, last + 1 - level)  # to this many levels either side is void
    steps[0] = LEVELS  # no evidence at all is background however wide the band
    void = np.bincount(steps, counts, LEVELS + 1).cumsum()
    return float(min(void.searchsorted(open_to_doubt) / (LEVELS - 1), 1.0))


def _agreed(run: Path, shelf: Shelf, images: LabelledImages, option: str) -> Consensus:
    found = consensus(run, images, shelf)
    if found is None:
        how = " ".join(f"--{key} {shelf.manifest[key]}" for key in ASKED_LIKE)
        raise BeyondcamError(
            f"{option} blind: {run} has no witnesses of --split {images.split}; `beyondcam map {how}` asks "
            "them, or give a value"
        )
    return found


def _by_rule(run: Path, shelf: Shelf, images: LabelledImages, rule: str) -> float:
    if rule not in ("few", "train", "oracle"):
        raise BeyondcamError(
            f"--threshold {rule}: write a value between 0 and 1, blind, few:ID,ID, few, train or oracle"
        )
    asked = (shelf.name, images.data, rule, *(shelf.manifest[key] for key in _SAME))
    found = {
        row.threshold: row.chosen_on.split if row.chosen_on else row.split
        for row in read_scores(run)
        if (row.recipe, row.data, row.threshold_rule, *(getattr(row, key) for key in _SAME)) == asked
        and _may_take(row, rule, images)
    }
    if not found:
        raise BeyondcamError(
            f"--threshold {rule}: {run / 'scores.json'} has no such row for {shelf.name} that --split "
            f"{images.split} may take; `beyondcam score` makes it where there are masks, otherwise take blind"
        )
    if len(found) > 1:
        answers = ", ".join(f"τ {value:.3f} of --split {split}" for value, split in sorted(found.items()))
        raise BeyondcamError(f"--threshold {rule}: {shelf.name} has several ({answers}); give a value")
    return next(iter(found))


def _may_take(row: Row, rule: str, images: LabelledImages) -> bool:
    """Whether a row's τ is of its rule for a split: one chosen on the split's own masks is its oracle."""
    if rule == "oracle":
        return row.split == images.split
    on = row.chosen_on
    return on is not None and (rule == "few" or on.split != images.split)
