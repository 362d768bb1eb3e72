"""Score a split: evidence and masks in, rows with intervals and paired comparisons out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import combinations
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import (
    FAMILY,
    LEVELS,
    Shelf,
    Threshold,
    level_threshold,
    shelves,
    threshold_level,
    within_unit,
)
from beyondcam.metrics.bootstrap import interval, p_value, sample_weights
from beyondcam.metrics.consensus import Consensus, consensus
from beyondcam.metrics.looks import Look, RecipeCounts, look_at, mapped_in_full
from beyondcam.metrics.metric import METRICS, Pixels
from beyondcam.metrics.regions import recall_curve
from beyondcam.metrics.rows import Comparison, CostPerImage, Curve, Origin, Row
from beyondcam.metrics.rules import RULES, ThresholdData
from beyondcam.metrics.scores import Scores
from beyondcam.metrics.supervision import pretraining_of, supervision_of
from beyondcam.metrics.tally import Absent, Sweep, tallies_of
from beyondcam.metrics.thresholds import ThresholdSplit
from beyondcam.outcome import LeftOut

REFERENCE = "cam"
"""The recipe whose right pixels are the discriminative regions."""

KEPT = 2**28
"""Bytes of images that are kept from the pass over the reference to that over all; others are read twice."""


def score_split(
    run: str | PathLike[str],
    images: LabelledImages,
    masks: Masks | None,
    *,
    threshold_split: ThresholdSplit | None = None,
    threshold: float | None = None,
    reference_threshold: float | None = None,
    absent: Absent = "auto",
    among: Sequence[Shelf] | None = None,
) -> Scores:
    """Score all the evidence that a RUN holds for a split, or that `among` it, against the masks.

    There are rows of each rule that has something to choose τ on: `adaptive` and `oracle` always, `blind`
    where `map_witnesses` was run.

    Parameters
    ----------
    run
        the RUN, or the folder that `map_split` wrote.
    images, masks
        of the split, as `open_images` and `open_masks` give them.
    threshold_split
        for rows of the rules `train` and `few`.
    threshold
        in [0, 1], for rows of the rule `fixed`.
    reference_threshold
        that of the reference CAM under `fixed`; by default the same.
    absent
        what a class that no mask shows does in the mIoU: "auto" leaves it out, or counts it 0 where it is
        predicted; "drop" always leaves it out; "zero" always counts it 0.
    among
        the evidence to score; by default all there is.

    Returns
    -------
    Rows, comparisons and curves; every figure is a share in [0, 1].

    Raises
    ------
    BeyondcamError
        Where nothing can be scored, there are no masks, or a threshold is not in [0, 1].

    """
    for parameter, value in (("threshold", threshold), ("reference_threshold", reference_threshold)):
        if value is not None:
            within_unit(value, parameter)
    run = Path(run)
    if masks is None:
        raise BeyondcamError("the data have none to score by", parameter="masks")
    families: dict[tuple[Any, ...], list[Shelf]] = defaultdict(list)
    for shelf in shelves(run, images) if among is None else among:
        families[shelf.family].append(shelf)
    if not families:
        what = f"no evidence of split {images.split} of this data; `beyondcam map` makes it"
        raise BeyondcamError(f"{run}: {what}")
    parts = [mapped_in_full(family, images) for family in families.values()]
    if not any(ids for ids, *_ in parts):
        raise BeyondcamError(f"{run}: no image of {images.split} is mapped yet; `beyondcam map` does it")
    task = _Task(run, images, masks, threshold_split, threshold, reference_threshold, absent)
    scores, failed = Scores(), None
    for ids, recipes, lacking in parts:
        unmapped = set(images.ids).difference(ids) if ids else ()
        reason = "has no evidence; `beyondcam map` makes it, or says why not"
        scores.left_out.update({i: reason for i in images.ids if i in unmapped})
        scores.left_out.update({f"recipe {shelf.name}": reason for shelf, reason in lacking})
        if recipes:
            try:
                scores.extend(_Family(task, ids, recipes).score())
            except BeyondcamError as error:  # the others are scored all the same
                failed = error
                scores.left_out.update({f"recipe {shelf.name}": str(error) for shelf in recipes})
    if failed and not scores.rows:
        raise failed
    return scores


class _Task(NamedTuple):
    """The arguments of `score_split` that all families share."""

    run: Path
    images: LabelledImages
    masks: Masks
    threshold_split: ThresholdSplit | None
    threshold: float | None
    reference_threshold: float | None
    absent: Absent


class _Scored(NamedTuple):
    """A recipe under a rule, and each metric in every sample, the full one first."""

    row: Row
    samples: Mapping[str, NDArray[np.float64]]


class _Family:
    """Recipes that share a reference and may be compared; all have evidence of the images `ids`."""

    def __init__(self, task: _Task, ids: Sequence[str], recipes: Sequence[Shelf]) -> None:
        self.task, self.ids, self.recipes = task, ids, recipes
        references = [shelf for shelf in recipes if shelf.name == REFERENCE]
        self.reference = references[0] if references else None
        if len(references) > 1:
            raise BeyondcamError(f"{task.run}: two recipes are called {REFERENCE}, the reference; delete one")
        self.pretrained = pretraining_of(task.run)
        self.left_out: dict[str, str] = {}
        self.unread: dict[str, str] = {}  # images
        self.agreed: Consensus | None = None
        self.sweeps: Mapping[str, Mapping[str, Sweep]] = {}  # on the threshold split, by recipe hash and rule

    def score(self) -> Scores:
        """Score the recipes."""
        if split := self.task.threshold_split:
            counted = split.count(self.task.run, self.recipes)
            self.sweeps = counted.results
            self.left_out |= counted.left_out
        try:
            self.agreed = consensus(self.task.run, self.task.images, self.recipes[0])
        except BeyondcamError as error:
            self.left_out["rule blind"] = str(error)
        references, counts = self._read()
        if not counts[0].images:
            reason = self.unread[self.ids[0]]
            raise BeyondcamError(f"none of the {len(self.ids)} images can be scored: {reason}")
        weights, curves, scored = sample_weights(len(counts[0].images)), [], []
        for recipe in counts:
            chosen = references if recipe.shelf is self.reference else self._thresholds(recipe)
            curves.append(self._curve(recipe, chosen, references))
            for rule, pixels in recipe.pixels(chosen, weights, self.task.absent).items():
                scored.append(self._scored(recipe, pixels, rule, chosen[rule], references.get(rule)))
        pairs = combinations(scored, 2)
        comparisons = [_compared(a, b) for a, b in pairs if a.row.threshold_rule == b.row.threshold_rule]
        return Scores([one.row for one in scored], comparisons, curves, self.left_out | self.unread)

    def _read(self) -> tuple[Mapping[str, Threshold], list[RecipeCounts]]:
        """Read all in two passes, since the reference's thresholds decide what the regions are.

        They are chosen on the images that are scored: where one can be read of the reference alone, both are
        made again without it.
        """
        while True:
            references, begun = self._read_reference(self.reference) if self.reference else ({}, {})
            unread = len(self.unread)
            counts = self._count(references, begun)
            if not references or len(self.unread) == unread:
                return references, counts

    def _looks(
        self, recipes: Sequence[Shelf], label: str, begun: Mapping[str, Look] | None = None
    ) -> Iterator[tuple[str, Look]]:
        ids = [i for i in self.ids if i not in self.unread]
        for i, look in look_at(ids, recipes, self.task.masks, self.agreed, begun=begun, label=label):
            if isinstance(look, LeftOut):
                self.unread[i] = look.reason
            else:
                yield i, look

    def _read_reference(self, reference: Shelf) -> tuple[dict[str, Threshold], dict[str, Look]]:
        """The reference's thresholds, and as many looks at it as may be kept."""
        counts, kept, room = RecipeCounts(reference, len(self.task.images.classes)), {}, KEPT
        for i, look in self._looks([reference], f"read {REFERENCE}"):
            counts.add(i, look.recipes[0])
            room -= look.nbytes
            if room >= 0:
                kept[i] = look
        return self._thresholds(counts), kept

    def _count(self, references: Mapping[str, Threshold], begun: Mapping[str, Look]) -> list[RecipeCounts]:
        """Count every recipe; `begun` has looks at the reference, `references` its thresholds."""
        counts = [RecipeCounts(shelf, len(self.task.images.classes)) for shelf in self.recipes]
        ordered = sorted(counts, key=lambda recipe: recipe.shelf is not self.reference)  # the reference first
        for i, look in self._looks([recipe.shelf for recipe in ordered], "score", begun):
            for recipe, recipe_look in zip(ordered, look.recipes, strict=True):
                recipe.add(i, recipe_look)
                if references:
                    recipe.add_regions(recipe_look, look.recipes[0], references)
        return counts

    def _thresholds(self, counts: RecipeCounts) -> dict[str, Threshold]:
        """Rule → threshold of a recipe, for the rules that have something to choose it on."""
        if self.agreed:  # blind takes images that cannot be scored, too, unless their evidence is why
            for i in self.unread.keys() & set(self.agreed.ids):
                with suppress(BeyondcamError):
                    for tally in tallies_of(counts.shelf, [i], self.agreed.masks):
                        counts.add_agreeing(tally)
        given = self.task.threshold
        if counts.shelf is self.reference and self.task.reference_threshold is not None:
            given = self.task.reference_threshold
        data = ThresholdData(
            given, counts.agreed, counts.falls, **self.sweeps.get(counts.shelf.manifest["recipe_hash"], {}),
            scored=counts.scored, absent=self.task.absent,
        )  # fmt: skip
        chosen = {name: rule.choose(data) for name, rule in RULES.items()}
        return {name: threshold for name, threshold in chosen.items() if threshold is not None}

    def _recipe(self, shelf: Shelf) -> dict[str, Any]:
        """What a row or curve says of the recipe and the images."""
        about = {key: shelf.manifest[key] for key in ("checkpoint", "recipe_hash", *FAMILY)}
        return about | {"data": self.task.images.data, "split": self.task.images.split, "recipe": shelf.name}

    def _scored(
        self,
        counts: RecipeCounts,
        pixels: Pixels,
        rule: str,
        threshold: Threshold,
        reference: Threshold | None,
    ) -> _Scored:
        """Measure a recipe under a rule; `reference` is the threshold of the reference under it."""
        measured = {name: metric.measure(pixels) for name, metric in METRICS.items()}
        samples = {name: values for name, values in measured.items() if values is not None}
        by_class = dict(zip(("background", *self.task.images.classes), pixels.iou.T, strict=True))
        cost, split = counts.shelf.cost(), self.task.threshold_split
        chosen_on = split.chosen_on.get(rule) if split else None
        row = Row(
            **self._recipe(counts.shelf),
            threshold_rule=rule, threshold=threshold.value, fall=threshold.fall,
            metrics=dict.fromkeys(METRICS) | {name: _number(drawn[0]) for name, drawn in samples.items()},
            iou={name: _number(drawn[0]) for name, drawn in by_class.items()},
            ci={name: interval(drawn[1:]) for name, drawn in samples.items()},
            iou_ci={name: interval(drawn[1:]) for name, drawn in by_class.items()},
            shown=dict(zip(self.task.images.classes, counts.shown(), strict=True)),
            cost=CostPerImage(**cost) if cost else None,
            reference_threshold=reference.value if reference else None,
            chosen_on=chosen_on,
            images=len(counts.images), absent=self.task.absent, uncovered=float(np.mean(counts.uncovered)),
            supervision=supervision_of(
                self.pretrained, counts.shelf.manifest["recipe"], rule, str(chosen_on) if chosen_on else None
            ),
        )  # fmt: skip
        return _Scored(row, samples)

    def _curve(
        self, counts: RecipeCounts, chosen: Mapping[str, Threshold], references: Mapping[str, Threshold]
    ) -> Curve:
        """mIoU over the threshold; recalls over the reference's threshold, at the recipe's oracle level."""
        recalls: dict[str, Any] = {}
        constant = _constant(chosen)
        if references:
            dr, ndr = recall_curve(counts.joint, constant["oracle"])
            recalls = {"dr_recall": list(map(_number, dr)), "ndr_recall": list(map(_number, ndr))}
            recalls["reference_levels"] = _constant(references)
        return Curve(
            **self._recipe(counts.shelf), classes=self.task.images.classes,
            threshold=[level_threshold(level) for level in range(LEVELS)],
            miou=counts.scored.miou(self.task.absent).tolist(),
            levels=constant, **recalls,
        )  # fmt: skip


def _constant(thresholds: Mapping[str, Threshold]) -> dict[str, int]:
    """Rule → level, of the rules that choose one for all images and classes."""
    return {rule: threshold_level(t.value) for rule, t in thresholds.items() if t.value is not None}


def _compared(a: _Scored, b: _Scored) -> Comparison:
    """The paired difference b − a of each metric."""
    less = {name: b.samples[name] - a.samples[name] for name in a.samples if name in b.samples}
    return Comparison(
        **{key: getattr(a.row, key) for key in Origin.model_fields}, threshold_rule=a.row.threshold_rule,
        a=a.row.recipe, b=b.row.recipe, a_hash=a.row.recipe_hash, b_hash=b.row.recipe_hash,
        difference={name: _number(samples[0]) for name, samples in less.items()},
        ci={name: interval(samples[1:]) for name, samples in less.items()},
        p={name: p_value(samples) for name, samples in less.items()},
    )  # fmt: skip


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
