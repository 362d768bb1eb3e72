"""Thresholds that are chosen before a score: on the masks of another split, or as a user writes them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from beyondcam.data import VOID, LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import (
    FAMILY,
    LEVELS,
    Shelf,
    Threshold,
    second_recipe,
    shelves,
    winners_of,
    within_unit,
)
from beyondcam.metrics.consensus import SHARED, Consensus, consensus
from beyondcam.metrics.looks import look_at, mapped_in_full
from beyondcam.metrics.rows import SCORE, ChosenOn, Row, read_records
from beyondcam.metrics.rules import RULES, ThresholdData, adaptive
from beyondcam.metrics.tally import FallSweep, Sweep, tallies_of
from beyondcam.outcome import LeftOut, Outcome


@dataclass(frozen=True)
class ThresholdSplit:
    """A split whose masks choose τ for another.

    Attributes
    ----------
    images : the split's.
    masks : theirs, all of which the rule `train` takes.
    few : ids of those that the rule `few` takes.

    """

    images: LabelledImages
    masks: Masks
    few: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for i in self.few:
            if i not in self.images.ids:
                raise BeyondcamError(f"split {self.images.split} has no image {i}", parameter="few")

    @property
    def chosen_on(self) -> dict[str, ChosenOn]:
        """Rule → what a row says of where τ comes from."""
        split = self.images.split
        return {"train": ChosenOn(split=split), "few": ChosenOn(split=split, images=self.few)}

    def count(self, run: Path, family: Sequence[Shelf]) -> Outcome[dict[str, Sweep]]:
        """Count the recipes of a family on this split: recipe hash → rule → counts.

        Left out are recipes that lack images which another one has, images that cannot be read, and rules
        whose masks show no object.
        """
        wanted = {shelf.manifest["recipe_hash"] for shelf in family}
        here = [shelf for shelf in shelves(run, self.images) if shelf.family == family[0].family]
        by_hash = {shelf.manifest["recipe_hash"]: shelf for shelf in reversed(here)}  # of several, the first
        ids, complete, lacking = mapped_in_full(list(by_hash.values()), self.images)
        recipes = {key: shelf for key, shelf in by_hash.items() if key in wanted and shelf in complete}
        rules = {"train": set(ids), "few": set(self.few)} if self.few else {"train": set(ids)}
        classes, split = len(self.images.classes), f"split {self.images.split}"
        counts = {key: {rule: Sweep.of((), classes) for rule in rules} for key in recipes}
        of = f"rule{'s train and few' if self.few else ' train'} of"
        left_out = {f"{of} {s.name}": why for s, why in lacking if s.manifest["recipe_hash"] in wanted}
        reason = f"is not mapped on {split}; `beyondcam map` does it"
        left_out |= {f"{i} of the rule few": reason for i in self.few if i not in ids}
        ids = ids if recipes else []
        for i, look in look_at(ids, list(recipes.values()), self.masks, label="read train"):
            if isinstance(look, LeftOut):
                left_out[f"{i} of {split}"] = look.reason
                continue
            for sweeps, recipe in zip(counts.values(), look.recipes, strict=True):
                for rule, some in rules.items():
                    if i in some:
                        sweeps[rule].add(recipe.tally)
        reason = f"no object in its masks of {split}"
        for sweeps in counts.values():  # of all recipes the same, as they share the masks
            left_out |= {f"rule {rule}": reason for rule in rules if not sweeps[rule].has_object}
        return Outcome(counts, left_out)


def threshold_of(
    run: Path, images: LabelledImages, shelf: Shelf, threshold: str, masks: Masks | None = None
) -> Threshold:
    """A threshold on the evidence of a shelf, as `threshold` describes it.

    A value in [0, 1]; `adaptive`, one for each image and class from its own evidence, which falls as is best
    on what the split's witnesses agree on, if it has any; `blind`, the best constant on that;
    `few:ID,ID`, the best on the `masks` of these images; or `few`, `train` or `oracle` as `score` has found
    them.
    """
    rule, _, named = threshold.partition(":")
    classes = len(images.classes)
    if threshold == "adaptive":
        seen = _consensus(run, images, shelf)
        return adaptive(FallSweep.of(tallies_of(shelf, seen.ids, seen.masks), classes) if seen else None)
    if threshold == "blind":
        agreed = _agreed(run, images, shelf, "threshold")
        ids, labels = agreed.ids, agreed.masks
    elif rule == "few" and named:
        ids = tuple(sorted({name.strip() for name in named.split(",")}))
        if masks is None:
            raise BeyondcamError(
                f"no masks to choose {threshold} by; take adaptive or a value", parameter="threshold"
            )
        labels = masks
        if unknown := set(ids) - set(images.ids):
            raise BeyondcamError(
                f"{threshold}: {images.split} has no image {min(unknown)}", parameter="threshold"
            )
        if missing := [i for i in ids if not shelf.path(i).exists()]:
            raise BeyondcamError(
                f"{threshold}: {missing[0]} is not mapped; `beyondcam map` does it", parameter="threshold"
            )
    else:
        try:
            return Threshold(within_unit(threshold, "threshold"))
        except ValueError:
            return Threshold(_scored_threshold(run, images, shelf, threshold))
    sweep = Sweep.of(tallies_of(shelf, ids, labels), classes)
    chosen = RULES[rule].choose(ThresholdData(agreed=sweep, few=sweep))
    if chosen is None:
        shown = "what the witnesses agree on" if rule == "blind" else "these masks"
        raise BeyondcamError(
            f"{threshold}: no object in {shown}; name other images or give a value", parameter="threshold"
        )
    return chosen


def second_opinion(run: Path, images: LabelledImages, shelf: Shelf) -> tuple[Shelf, Threshold] | None:
    """A second recipe and its adaptive threshold, as `write_seeds` takes them; None where none is mapped."""
    other = second_recipe(run, images, shelf)
    return None if other is None else (other, threshold_of(run, images, other, "adaptive"))


def band_of(run: Path, images: LabelledImages, shelf: Shelf, void: str, threshold: Threshold) -> float:
    """How close to √τ the √v of a pixel is left void, as `void` describes it.

    A value in [0, 1]; or `blind`, the least by which as much is void as the split's witnesses disagree about.
    """
    if void != "blind":
        try:
            return within_unit(void, "void")
        except ValueError:
            raise BeyondcamError(
                f"{void}: write a value between 0 and 1, or blind", parameter="void"
            ) from None
    agreed = _agreed(run, images, shelf, "void")
    pixels, disputed, level = np.zeros(LEVELS + 1), 0, np.arange(LEVELS)
    for i in agreed.ids:
        won = winners_of(shelf.read(i)).won
        last = threshold.levels(won)[:, None]
        steps = np.where(level > last, level - last, last + 1 - level)  # void from such a band on
        steps[:, 0] = LEVELS  # no evidence at all is background however wide the band
        pixels += np.bincount(steps.ravel(), won.ravel(), LEVELS + 1)
        disputed += int((agreed.masks.read(i) == VOID).sum())
    pixels = pixels.cumsum()  # (LEVELS + 1,), void by the width of the band
    return float(min(pixels.searchsorted(disputed) / (LEVELS - 1), 1.0))


def _consensus(run: Path, images: LabelledImages, shelf: Shelf) -> Consensus | None:
    """What the witnesses agree on in the images whose evidence is of their present labels and photos."""
    found = consensus(run, images, shelf)
    return found and replace(found, ids=tuple(filter(shelf.is_current, found.ids)))


def _agreed(run: Path, images: LabelledImages, shelf: Shelf, parameter: str) -> Consensus:
    agreed = _consensus(run, images, shelf)
    if agreed is None:
        settings = ", ".join(f"{key} {shelf.manifest[key]}" for key in SHARED)
        raise BeyondcamError(
            f"blind needs the witnesses of split {images.split}, which {run} does not have; "
            f"`beyondcam map` makes them (with {settings}), or give a value",
            parameter=parameter,
        )
    return agreed


def _scored_threshold(run: Path, images: LabelledImages, shelf: Shelf, rule: str) -> float:
    """The threshold that scores.json has for a recipe under a rule."""
    if rule not in ("few", "train", "oracle"):
        raise BeyondcamError(
            f"{rule}: write a value in [0, 1], adaptive, blind, few:ID,ID, few, train or oracle",
            parameter="threshold",
        )
    keys = ("recipe_hash", "checkpoint", *FAMILY)
    wanted = (shelf.name, images.data, rule, *(shelf.manifest[key] for key in keys))
    splits = {
        row.threshold: row.chosen_on.split if row.chosen_on else row.split
        for row in read_records(run / "scores.json", Row, SCORE)
        if row.threshold is not None
        and (row.recipe, row.data, row.threshold_rule, *(getattr(row, key) for key in keys)) == wanted
        and _may_take(row, images)
    }
    if not splits:
        raise BeyondcamError(
            f"{rule}: {run / 'scores.json'} has no such row of {shelf.name} that split "
            f"{images.split} may take; `beyondcam score` makes it where there are masks; or take adaptive",
            parameter="threshold",
        )
    if len(splits) > 1:
        answers = ", ".join(f"τ {value:.3f} of split {split}" for value, split in sorted(splits.items()))
        raise BeyondcamError(
            f"{rule}: {shelf.name} has several ({answers}); give a value", parameter="threshold"
        )
    return next(iter(splits))


def _may_take(row: Row, images: LabelledImages) -> bool:
    """Whether a split may take a row's τ: one chosen on the split's own masks is its oracle."""
    if row.chosen_on is None:
        return row.threshold_rule == "oracle" and row.split == images.split
    return row.threshold_rule == "few" or row.chosen_on.split != images.split
