"""A rule that says, before any mask is looked at, where to take saliency and where CAM."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from beyondcam.evidence import Evidence, level_at_size
from beyondcam.studies.cases import Case, averaged, gains, mean_of, overlap
from beyondcam.studies.finding import Table, bounded
from beyondcam.studies.pairs import CAM, PAIRS, SALIENCY, WHOLE

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


def signs_of(evidence: Mapping[str, Evidence], places: int) -> dict[int, dict[str, float]]:
    """The signs of each target of an image; `places` is how many the CAM has."""
    cam, saliency = evidence[CAM], evidence[SALIENCY]
    found = {}
    for k, target in enumerate(cam.targets):
        wide, far = (level_at_size(own, k) > HALF for own in (cam, saliency))
        found[target] = {
            "probability": float(1 / (1 + np.exp(-cam.scores[k]))),
            "extent": float(wide.mean()),
            "places": float(wide.mean() * places),
            "reach": float(far.mean()),
            "overlap": overlap(wide, far),
            "classes": float(len(cam.targets)),
        }
    return found


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


def gain(case: Case) -> float:
    """IoU of saliency less that of CAM, of the whole image."""
    return case.iou[SALIENCY] - case.iou[CAM]


def derive(cases: Sequence[Case]) -> Rule:
    """The rule with the highest mean IoU, of all signs and values; always one map if no sign does better."""
    best = Rule("extent", -np.inf, above=True) if mean_gain(cases) > 0 else Rule("extent", np.inf, above=True)
    most = max(0.0, sum(gain(case) for case in cases))
    for sign in SIGNS:
        ordered = sorted(cases, key=lambda case: case.signs[sign])
        values = np.array([case.signs[sign] for case in ordered])
        below = np.cumsum([gain(case) for case in ordered])[:-1]
        parted = values[:-1] < values[1:]
        for above, sums in ((True, below[-1:] + gain(ordered[-1]) - below), (False, below)):
            if not parted.any():
                continue
            n = int(np.where(parted, sums, -np.inf).argmax())
            if sums[n] > most:
                most, best = float(sums[n]), Rule(sign, float((values[n] + values[n + 1]) / 2), above)
    return best


def mean_gain(cases: Sequence[Case]) -> float:
    """The mean gain."""
    return float(np.mean([gain(case) for case in cases]))


def change(cases: Sequence[Case], what: str = WHOLE) -> str:
    """The mean gain of a pair's saliency over its CAM, in words."""
    return mean_of(cases, gains(cases, *PAIRS[what]))


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
        by_rule += [gain(case) * rule.takes(case) for case in others]
        constant += [gain(case) * always for case in others]
    return cases, by_rule, constant


def in_words(rule: Rule, source: str, folds: Mapping[str, Fold]) -> str:
    """The rule of thumb, where it is from, and how it does where it is not from."""
    words = f"Rule of thumb, derived from {source}: {rule}."
    if not folds:
        return f"{words} There is nothing to try it on."
    cases, by_rule, constant = tried(folds)
    value = mean_of(cases, np.subtract(by_rule, constant).tolist())
    best = mean_of(cases, [max(0, gain(case)) - c for case, c in zip(cases, constant, strict=True)])
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
        cam, saliency = (averaged(cases, [case.iou[name] for case in cases]) for name in (CAM, SALIENCY))
        rows.append((name, str(derive(known)), str(len(cases)), bounded(*cam), bounded(*saliency),
                     "saliency" if mean_gain(known) > 0 else "CAM",
                     mean_of(cases, np.subtract(by_rule, constant).tolist())))  # fmt: skip
    head = ("tried on", "rule", "objects", "mean IoU of CAM", "of saliency", "better where derived",
            "the rule less that")  # fmt: skip
    return Table("Rules on what they were not derived from", head, rows or [("nothing", *"–" * 6)])
