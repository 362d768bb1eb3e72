"""Score a split: evidence and masks in, rows with intervals and paired comparisons out."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import (
    FAMILY,
    LEVELS,
    Evidence,
    Shelf,
    level_threshold,
    shelves,
    threshold_level,
    winners_of,
)
from beyondcam.files import ahead
from beyondcam.metrics.bootstrap import interval, sample_weights
from beyondcam.metrics.consensus import Consensus, best_agreeing, consensus
from beyondcam.metrics.regions import joint_levels, recall_curve, region_levels, regions, right_levels
from beyondcam.metrics.rows import Absent, ChosenOn, Comparison, CostPerImage, Curve, Row, Scores
from beyondcam.metrics.tally import Counts, ImageTally, Sweep, counts_at, iou, mean_iou, resampled, tallies_of
from beyondcam.progress import track

Rule = Literal["fixed", "blind", "few", "train", "oracle"]

REFERENCE = "cam"
"""The recipe whose right pixels are the discriminative regions."""

METRICS = ("miou", "dr_recall", "ndr_recall", "fg_precision")

KEPT = 2**28
"""Bytes of images that are kept from looking at the reference to scoring; the others are read twice."""


@dataclass(frozen=True)
class Training:
    """The split whose evidence and masks choose τ: all of them for the rule `train`, the `few` for `few`."""

    images: LabelledImages
    masks: Masks
    few: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for i in self.few:
            if i not in self.images.ids:
                raise BeyondcamError(f"--few {i}: no such image in --split {self.images.split}")

    @property
    def chosen_on(self) -> dict[Rule, ChosenOn]:
        """What a row of each of its rules says of where τ comes from."""
        split = self.images.split
        return {"train": ChosenOn(split=split), "few": ChosenOn(split=split, images=self.few)}


def score_split(
    run: Path,
    images: LabelledImages,
    masks: Masks,
    *,
    training: Training | None = None,
    threshold: float | None = None,
    reference_threshold: float | None = None,
    absent: Absent = "auto",
    among: Sequence[Shelf] | None = None,
) -> Scores:
    """Score all the evidence that a RUN holds for a split, or that of the shelves `among` it.

    The rule `oracle` is always answered, `blind` where the witnesses are mapped, `train` and `few` where
    there is a `training`. `threshold` asks for the rule `fixed`; `reference_threshold` is then that of the
    reference CAM, the same where it is not given.
    """
    for option, value in (("--threshold", threshold), ("--reference-threshold", reference_threshold)):
        if value is not None:
            within_unit(value, option)
    result = Scores()
    families: dict[tuple[Any, ...], list[Shelf]] = defaultdict(list)
    for shelf in shelves(run, images) if among is None else among:
        families[shelf.family].append(shelf)
    if not families:
        raise BeyondcamError(
            f"{run}: no evidence for --split {images.split} of this data; `beyondcam map` makes it"
        )
    mapped = False
    for found in families.values():
        ids, family = _complete(found, images, result.left_out)
        mapped |= bool(ids)
        if not family:
            continue
        if sum(shelf.name == REFERENCE for shelf in family) > 1:
            raise BeyondcamError(f"{run}: two recipes are called {REFERENCE}, the reference; delete one")
        fixed = {shelf.name: threshold for shelf in family}
        if reference_threshold is not None:
            fixed[REFERENCE] = reference_threshold
        _score_family(run, images, masks, ids, family, training, fixed, absent, result)
    if not mapped:
        raise BeyondcamError(f"{run}: no image of {images.split} is mapped yet; `beyondcam map` does it")
    return result


def within_unit(value: float | str, option: str) -> float:
    """A value in [0, 1]. Raises `ValueError` where it is no number, else `BeyondcamError`."""
    number = float(value)
    if not 0 <= number <= 1:
        raise BeyondcamError(f"{option} {value}: a value lies between 0 and 1")
    return number


def _complete(
    found: Sequence[Shelf], images: LabelledImages, left_out: dict[str, str]
) -> tuple[list[str], list[Shelf]]:
    """The ids that some recipe has evidence for, and the recipes that have it for all of them."""
    have = [{i for i in images.ids if shelf.path(i).exists()} for shelf in found]
    any_has = set().union(*have)
    ids = [i for i in images.ids if i in any_has]
    if not ids:
        left_out |= {f"recipe {shelf.name}": "no image is mapped yet; run `beyondcam map`" for shelf in found}
        return [], []
    for i in images.ids:
        if i not in any_has:
            left_out[i] = "has no evidence; `beyondcam map` makes it, or says why not"
    complete = []
    for shelf, own in zip(found, have, strict=True):
        if own == any_has:
            complete.append(shelf)
        else:
            lacking = f"{len(ids) - len(own)} of {len(ids)} images are not mapped"
            left_out[f"recipe {shelf.name}"] = f"{lacking}; run `beyondcam map` again"
    return ids, complete


@dataclass
class _Look:
    """An image as it is scored: its truth, what the witnesses agree on, and what each recipe makes of it."""

    truth: NDArray[np.uint8]
    agreed: NDArray[np.uint8] | None
    right: list[NDArray[np.uint8]] = field(default_factory=list)
    tallies: list[ImageTally] = field(default_factory=list)
    agreeing: list[ImageTally] = field(default_factory=list)
    uncovered: list[float] = field(default_factory=list)

    def add(self, evidence: Evidence) -> None:
        """Look at the evidence of one more recipe."""
        winners = winners_of(evidence)
        self.right.append(right_levels(winners, self.truth))
        self.tallies.append(ImageTally.of(winners, self.truth))
        if self.agreed is not None:
            self.agreeing.append(ImageTally.of(winners, self.agreed))
        self.uncovered.append(evidence.uncovered)

    @property
    def nbytes(self) -> int:
        """The memory of its arrays."""
        kept = (self.truth, *self.right, *(() if self.agreed is None else (self.agreed,)))
        return sum(own.nbytes for own in kept)


def _looks(
    family: Sequence[Shelf],
    ids: Sequence[str],
    masks: Masks,
    left_out: dict[str, str],
    what: str,
    seen: dict[str, _Look],
    agreed: Consensus | None = None,
) -> Iterator[tuple[str, _Look]]:
    """Read each image once: its mask, and its evidence of every recipe.

    An image that one recipe's evidence cannot be read for is left out of all. `seen` holds looks at the first
    recipe alone, which are taken out and gone on with.
    """

    def read(image_id: str) -> _Look | str:
        try:
            look = seen.pop(image_id, None)
            if look is None:
                evidence = family[0].read(image_id)
                truth = masks.truth(image_id, evidence.size)
                look = _Look(truth, agreed.truth(image_id, evidence.size) if agreed else None)
                look.add(evidence)
            for shelf in family[1:]:
                look.add(shelf.read(image_id))
        except BeyondcamError as error:
            return str(error)
        return look

    for i, look in zip(ids, track(ahead(read, ids), what, len(ids)), strict=True):
        if isinstance(look, str):
            left_out[i] = look
        else:
            yield i, look


def _train_thresholds(
    run: Path,
    family: Sequence[Shelf],
    training: Training | None,
    classes: int,
    left_out: dict[str, str],
    absent: str,
) -> dict[Rule, dict[str, float]]:
    """The best thresholds on the training split: rule → recipe hash → τ, where all is mapped there."""
    if training is None:
        return {}
    images = training.images
    mapped = {
        other.manifest["recipe_hash"]: (other, {i for i in images.ids if other.path(i).exists()})
        for other in reversed(list(shelves(run, images)))  # of one recipe twice, the first stays
        if other.family == family[0].family
    }
    any_has = set().union(*(own for _, own in mapped.values()))
    complete = {}
    for shelf in family:
        key = shelf.manifest["recipe_hash"]
        if key not in mapped:
            continue
        other, own = mapped[key]
        if own == any_has:
            complete[key] = other
        else:
            left_out[f"rules train and few of {shelf.name}"] = (
                f"{len(any_has) - len(own)} of {len(any_has)} images of --split {images.split} "
                "are not mapped; run `beyondcam map` again"
            )
    left_out |= {
        f"{i} of the rule few": f"is not mapped on --split {images.split}; `beyondcam map` does it"
        for i in training.few
        if i not in any_has
    }
    if not complete:
        return {}
    ids = [i for i in images.ids if i in any_has]
    rules: dict[Rule, dict[str, Sweep]] = {
        rule: {key: Sweep.of((), classes) for key in complete} for rule in ("train", "few")
    }
    unread: dict[str, str] = {}
    for i, look in _looks(list(complete.values()), ids, training.masks, unread, "read train", {}):
        for rule, sweeps in rules.items():
            for sweep, tally in zip(sweeps.values(), look.tallies, strict=True):
                if rule == "train" or i in training.few:
                    sweep.add(tally)
    left_out |= {f"{i} of --split {images.split}": reason for i, reason in unread.items()}
    chosen: dict[Rule, dict[str, float]] = {}
    for rule, sweeps in rules.items():
        found = {key: sweep.best_threshold(absent) for key, sweep in sweeps.items()}
        chosen[rule] = {key: threshold for key, threshold in found.items() if threshold is not None}
        if not chosen[rule] and (rule == "train" or training.few):
            left_out[f"rule {rule}"] = f"no object in its masks of --split {images.split}"
    return chosen


@dataclass
class _Counts:
    """What one pass over a recipe's evidence leaves: small counts an image, and one joint histogram."""

    tallies: list[ImageTally] = field(default_factory=list)
    agreeing: list[ImageTally] = field(default_factory=list)
    uncovered: list[float] = field(default_factory=list)
    right_in_dr: dict[Rule, list[Counts]] = field(default_factory=lambda: defaultdict(list))
    joint: Counts = field(default_factory=lambda: np.zeros((LEVELS, LEVELS), np.int64))


@dataclass(frozen=True)
class _Scored:
    """A recipe under a rule: IoU by class, each metric over all images, and in every resample."""

    shelf: Shelf
    rule: Rule
    threshold: float
    by_class: NDArray[np.float64]
    values: Mapping[str, float]
    samples: Mapping[str, NDArray[np.float64]]


def _score_family(
    run: Path,
    images: LabelledImages,
    masks: Masks,
    ids: Sequence[str],
    family: Sequence[Shelf],
    training: Training | None,
    fixed: Mapping[str, float | None],
    absent: Absent,
    result: Scores,
) -> None:
    """Score recipes that share a reference CAM: it is read first, since the regions are its own."""
    classes = len(images.classes)
    trained = _train_thresholds(run, family, training, classes, result.left_out, absent)
    left_out: dict[str, str] = {}
    try:
        agreed = consensus(run, images, family[0])
    except BeyondcamError as error:
        agreed = None
        result.left_out["rule blind"] = str(error)

    def thresholds(shelf: Shelf, sweep: Sweep, agreeing: Iterable[ImageTally]) -> dict[Rule, float]:
        own: dict[Rule, float | None] = {
            "fixed": fixed[shelf.name],
            "blind": best_agreeing([*agreeing, *_unscored(shelf, agreed, left_out)], classes),
            **{rule: of.get(shelf.manifest["recipe_hash"]) for rule, of in trained.items()},
            "oracle": level_threshold(sweep.best_level(absent)),
        }
        return {rule: threshold for rule, threshold in own.items() if threshold is not None}

    references: dict[Rule, float] = {}
    seen: dict[str, _Look] = {}
    reference = next((shelf for shelf in family if shelf.name == REFERENCE), None)
    if reference:
        sweep, agreeing, room = Sweep.of((), classes), list[ImageTally](), KEPT
        for i, look in _looks([reference], ids, masks, left_out, f"read {REFERENCE}", {}, agreed):
            sweep.add(look.tallies[0])
            agreeing += look.agreeing
            room -= look.nbytes
            if room >= 0:
                seen[i] = look
        references = thresholds(reference, sweep, agreeing)
    reference_first = sorted(family, key=lambda shelf: shelf is not reference)
    counts = _count(reference_first, ids, masks, references, left_out, seen, agreed)
    result.left_out.update(left_out)
    scored_images = len(counts[family[0].folder].tallies)
    if not scored_images:
        raise BeyondcamError(f"none of the {len(ids)} images can be scored: {left_out[ids[0]]}")
    weights = sample_weights(scored_images)
    scored = []
    for shelf in family:
        own = counts[shelf.folder]
        sweep = Sweep.of(own.tallies, classes)
        chosen = references if shelf is reference else thresholds(shelf, sweep, own.agreeing)
        result.curves[shelf.folder.name] = _curves(shelf, images, sweep, own, chosen, references, absent)
        for rule, threshold in chosen.items():
            scored.append(_evaluate(shelf, own, rule, threshold, classes, weights, absent))
            how = {
                "reference_threshold": references.get(rule),
                "chosen_on": training.chosen_on.get(rule) if training else None,
                "images": scored_images,
                "absent": absent,
                "uncovered": float(np.mean(own.uncovered)),
            }
            result.rows.append(_row(scored[-1], images, how))
    for a, b in combinations(scored, 2):
        if a.rule == b.rule:
            result.comparisons.append(_comparison(a, b, images))


def _unscored(shelf: Shelf, agreed: Consensus | None, left_out: Collection[str]) -> Iterator[ImageTally]:
    """Counts of images that cannot be scored, which the rule `blind` sees all the same."""
    if agreed is None:
        return
    for i in agreed.ids:
        if i in left_out:
            with suppress(BeyondcamError):  # what cannot be read is left out for that
                yield from tallies_of(shelf, [i], agreed.masks)


def _count(
    family: Sequence[Shelf],
    ids: Sequence[str],
    masks: Masks,
    references: Mapping[Rule, float],
    left_out: dict[str, str],
    seen: dict[str, _Look],
    agreed: Consensus | None,
) -> dict[Path, _Counts]:
    """Count every recipe, image by image; the first is the reference, if there are `references`."""
    counts = {shelf.folder: _Counts() for shelf in family}
    for _, look in _looks(family, ids, masks, left_out, "score", seen, agreed):
        for own, agreeing in zip(counts.values(), look.agreeing, strict=False):  # none where not asked about
            own.agreeing.append(agreeing)
        each = zip(counts.values(), look.right, look.tallies, look.uncovered, strict=True)
        for own, right, tally, uncovered in each:
            own.tallies.append(tally)
            own.uncovered.append(uncovered)
            if not references:
                continue
            joint = joint_levels(right, look.right[0])
            own.joint += joint
            for rule, threshold in references.items():
                own.right_in_dr[rule].append(region_levels(joint, threshold_level(threshold)))
    return counts


def _evaluate(
    shelf: Shelf,
    counts: _Counts,
    rule: Rule,
    threshold: float,
    classes: int,
    weights: NDArray[np.int64],
    absent: Absent,
) -> _Scored:
    """What a recipe's counts say at one threshold."""
    level = threshold_level(threshold)
    intersection, predicted, true = resampled(counts_at(counts.tallies, level, classes), weights)
    by_class = iou(intersection, predicted, true)
    samples = {"miou": mean_iou(by_class.T, true.T, absent)}
    if rule in counts.right_in_dr:
        in_dr = np.array(counts.right_in_dr[rule])
        found = regions(
            weights @ in_dr[:, level + 1 :].sum(1),
            weights @ in_dr.sum(1),
            intersection[:, 1:].sum(1),
            true[:, 1:].sum(1),
            predicted[:, 1:].sum(1),
        )
        samples |= dict(zip(METRICS[1:], found, strict=True))
    values = {metric: float(drawn[0]) for metric, drawn in samples.items()}
    resamples = {metric: drawn[1:] for metric, drawn in samples.items()}
    return _Scored(shelf, rule, threshold, by_class[0], values, resamples)


def _origin(shelf: Shelf, images: LabelledImages) -> dict[str, Any]:
    """The fields of `Origin`."""
    return {
        "checkpoint": shelf.manifest["checkpoint"],
        "data": images.data,
        "split": images.split,
        **{key: shelf.manifest[key] for key in FAMILY},
    }


def _row(scored: _Scored, images: LabelledImages, how: dict[str, Any]) -> Row:
    by_class = zip(("background", *images.classes), scored.by_class, strict=True)
    cost = scored.shelf.cost()
    return Row(
        **_origin(scored.shelf, images),
        recipe=scored.shelf.name,
        recipe_hash=scored.shelf.manifest["recipe_hash"],
        threshold_rule=scored.rule,
        threshold=scored.threshold,
        metrics={metric: _number(scored.values.get(metric)) for metric in METRICS},
        iou={name: _number(value) for name, value in by_class},
        ci={metric: interval(drawn) for metric, drawn in scored.samples.items()},
        cost=CostPerImage(**cost) if cost else None,
        **how,
    )


def _comparison(a: _Scored, b: _Scored, images: LabelledImages) -> Comparison:
    """The paired difference b − a of each metric."""
    metrics = [m for m in METRICS if m in a.samples and m in b.samples]
    return Comparison(
        **_origin(a.shelf, images),
        a=a.shelf.name,
        b=b.shelf.name,
        a_hash=a.shelf.manifest["recipe_hash"],
        b_hash=b.shelf.manifest["recipe_hash"],
        threshold_rule=a.rule,
        difference={m: _number(b.values[m] - a.values[m]) for m in metrics},
        ci={m: interval(b.samples[m] - a.samples[m]) for m in metrics},
    )


def _curves(
    shelf: Shelf,
    images: LabelledImages,
    sweep: Sweep,
    counts: _Counts,
    chosen: Mapping[Rule, float],
    references: Mapping[Rule, float],
    absent: Absent,
) -> Curve:
    """mIoU over the threshold; region metrics over the reference's threshold, at the oracle level."""
    recalls: dict[str, Any] = {}
    if references:
        dr, ndr = recall_curve(counts.joint, threshold_level(chosen["oracle"]))
        recalls = {
            "reference_levels": {rule: threshold_level(t) for rule, t in references.items()},
            "dr_recall": [_number(value) for value in dr],
            "ndr_recall": [_number(value) for value in ndr],
        }
    return Curve(
        **_origin(shelf, images),
        recipe=shelf.name,
        recipe_hash=shelf.manifest["recipe_hash"],
        classes=images.classes,
        threshold=[level_threshold(level) for level in range(LEVELS)],
        miou=sweep.miou(absent).tolist(),
        levels={rule: threshold_level(threshold) for rule, threshold in chosen.items()},
        **recalls,
    )


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else float(value)
