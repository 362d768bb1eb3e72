"""A rule that says, before any mask is looked at, where to take saliency and where CAM."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.evidence import Evidence, levels_at_size, winners_of
from beyondcam.metrics import estimate, sample_weights
from beyondcam.studies.finding import Interval, Table, bounded, signed
from beyondcam.studies.pairs import NAMES, PAIRS, WHOLE

HALF = 127
"""The level of half of √v: a quarter of a map's maximum."""

SIGNS = {
    "probability": "the class's probability",
    "extent": "the share of the image above a quarter of the CAM's maximum",
    "places": "the CAM's places above a quarter of its maximum",
    "reach": "the share of the image above a quarter of the saliency's maximum",
    "overlap": "the IoU of what either map has above a quarter of its maximum",
    "classes": "the number of classes in the image",
}
"""What can be known of a class in an image before any mask is looked at."""


class Case(NamedTuple):
    """A class in an image.

    Attributes
    ----------
    image : where it is from, and its id.
    target : the class.
    area : its share of the image, by the mask.
    iou : of its pixels by each recipe of `NAMES`, τ being the recipe's best over all images.
    signs : by name, as in `SIGNS`.

    """

    image: tuple[str, str]
    target: int
    area: float
    iou: tuple[float, ...]
    signs: Mapping[str, float]

    @property
    def gain(self) -> float:
        """IoU of saliency less that of CAM."""
        return self.iou[1] - self.iou[0]


def cases_of(
    image: tuple[str, str],
    evidence: Sequence[Evidence],
    truth: NDArray[np.uint8],
    levels: Sequence[int],
    places: int,
) -> Iterator[Case]:
    """The classes of an image that its mask shows; evidence and levels are those of `NAMES`."""
    winners = [winners_of(own) for own in evidence]
    seeds = [np.where(won.levels > level, won.labels, 0) for won, level in zip(winners, levels, strict=True)]
    known = truth != VOID
    cam, saliency = (levels_at_size(own) > HALF for own in evidence[:2])
    for k, target in enumerate(evidence[0].targets):
        mine = truth == target + 1
        if not mine.any():
            continue
        signs = {
            "probability": float(1 / (1 + np.exp(-evidence[0].scores[k]))),
            "extent": float(cam[k].mean()),
            "places": float(cam[k].mean() * places),
            "reach": float(saliency[k].mean()),
            "overlap": overlap(cam[k], saliency[k]),
            "classes": float(len(evidence[0].targets)),
        }
        ious = tuple(overlap((seed == target + 1) & known, mine) for seed in seeds)
        yield Case(image, target, float(mine.mean()), ious, signs)


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union; 0 where both are empty."""
    return float((a & b).sum() / max(1, (a | b).sum()))


class Rule(NamedTuple):
    """Take saliency where a sign is above a value, or else where it is not; CAM everywhere else."""

    sign: str
    at: float
    above: bool

    def takes(self, case: Case) -> bool:
        """Whether it takes saliency."""
        return (case.signs[self.sign] > self.at) == self.above

    def __str__(self) -> str:
        if np.isinf(self.at):
            return f"always take {'saliency' if (self.at < 0) == self.above else 'CAM'}"
        where = f"{SIGNS[self.sign]} is {'above' if self.above else 'at most'} {self.at:.3g}"
        return f"take saliency where {where}, CAM elsewhere"


def derive(cases: Sequence[Case]) -> Rule:
    """The rule with the highest mean IoU, of all signs and values; always one map if no sign does better."""
    best = Rule("extent", -np.inf, above=True) if mean_gain(cases) > 0 else Rule("extent", np.inf, above=True)
    most = max(0.0, sum(case.gain for case in cases))
    for sign in SIGNS:
        ordered = sorted(cases, key=lambda case: case.signs[sign])
        values = np.array([case.signs[sign] for case in ordered])
        below = np.cumsum([case.gain for case in ordered])[:-1]
        parted = values[:-1] < values[1:]
        for above, sums in ((True, below[-1:] + ordered[-1].gain - below), (False, below)):
            if not parted.any():
                continue
            n = int(np.where(parted, sums, -np.inf).argmax())
            if sums[n] > most:
                most, best = float(sums[n]), Rule(sign, float((values[n] + values[n + 1]) / 2), above)
    return best


def mean_gain(cases: Sequence[Case]) -> float:
    """The mean gain."""
    return float(np.mean([case.gain for case in cases]))


def averaged(cases: Sequence[Case], values: Sequence[float]) -> tuple[float, Interval | None]:
    """The mean of a value of each case, with its interval over images."""
    numbers = {image: n for n, image in enumerate(dict.fromkeys(case.image for case in cases))}
    image = [numbers[case.image] for case in cases]
    sums, counts = np.bincount(image, values), np.bincount(image)
    weights = sample_weights(len(numbers))
    return estimate((weights @ sums) / np.maximum(weights @ counts, 1))


def mean_of(cases: Sequence[Case], values: Sequence[float]) -> str:
    """The mean of a change of each case, in words."""
    if not cases:
        return "–"
    value, interval = averaged(cases, values)
    return signed((value, *interval)) if interval else "–"


def change(cases: Sequence[Case], what: str = WHOLE) -> str:
    """The mean gain of a pair's saliency over its CAM, in words."""
    a, b = (NAMES.index(name) for name in PAIRS[what])
    return mean_of(cases, [case.iou[a] - case.iou[b] for case in cases])


Fold = tuple[Sequence[Case], Sequence[Case]]
"""The cases that a rule is derived from, and others that it is tried on."""


def tried(folds: Mapping[str, Fold]) -> tuple[list[Case], list[float], list[float]]:
    """Of all folds the cases tried on, what the rule gains over CAM in each, and what a constant choice does.

    The constant choice is what is better where the rule was derived, CAM or saliency.
    """
    cases: list[Case] = []
    by_rule: list[float] = []
    constant: list[float] = []
    for known, others in folds.values():
        rule, always = derive(known), mean_gain(known) > 0
        cases += others
        by_rule += [case.gain * rule.takes(case) for case in others]
        constant += [case.gain * always for case in others]
    return cases, by_rule, constant


def in_words(rule: Rule, source: str, folds: Mapping[str, Fold]) -> str:
    """The rule of thumb, where it is from, and how it does where it is not from."""
    words = f"Rule of thumb, derived from {source}: {rule}."
    if not folds:
        return f"{words} There is nothing to try it on."
    cases, by_rule, constant = tried(folds)
    value = mean_of(cases, np.subtract(by_rule, constant).tolist())
    best = mean_of(cases, [max(0, case.gain) - c for case, c in zip(cases, constant, strict=True)])
    return (
        f"{words} Tried on what it was not derived from ({'; '.join(folds)}; {len(cases)} objects), such a "
        f"rule changes the IoU of an object by {value} against always taking what is "
        f"better where it was derived; with the masks to choose by, the change would be {best}."
    )


def by_fold(folds: Mapping[str, Fold]) -> Table:
    """A row for each part that a rule is tried on."""
    rows = []
    for name, (known, others) in folds.items():
        cases, by_rule, constant = tried({name: (known, others)})
        cam, saliency = (averaged(cases, [case.iou[n] for case in cases]) for n in (0, 1))
        rows.append((name, str(derive(known)), str(len(cases)), bounded(*cam), bounded(*saliency),
                     "saliency" if mean_gain(known) > 0 else "CAM",
                     mean_of(cases, np.subtract(by_rule, constant).tolist())))  # fmt: skip
    head = ("tried on", "rule", "objects", "mean IoU of CAM", "of saliency", "better where derived",
            "the rule less that")  # fmt: skip
    return Table("Rules on what they were not derived from", head, rows or [("nothing", *"–" * 6)])
