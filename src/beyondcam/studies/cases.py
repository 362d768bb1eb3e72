"""Cases: the classes that an image's mask shows, how large each is, and how well each recipe finds it."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.evidence import Evidence
from beyondcam.metrics import estimate, sample_weights
from beyondcam.seeds import seed_labels
from beyondcam.studies.finding import Interval, signed


class Case(NamedTuple):
    """A class in an image.

    Attributes
    ----------
    image : its id.
    target : the class.
    area : its share of the image, by the mask.
    iou : of its pixels, by recipe.
    signs : what is known of it without a mask, by name.

    """

    image: str
    target: int
    area: float
    iou: Mapping[str, float]
    signs: Mapping[str, float]


def cases_of(
    image: str,
    evidence: Mapping[str, Evidence],
    truth: NDArray[np.uint8],
    thresholds: Mapping[str, float],
) -> Iterator[Case]:
    """The classes of an image that its mask shows, without signs; evidence and τ by recipe."""
    seeds = {name: seed_labels(own, thresholds[name]) for name, own in evidence.items()}
    known = truth != VOID
    for target in next(iter(evidence.values())).targets:
        mine = truth == target + 1
        if mine.any():
            ious = {name: overlap((seed == target + 1) & known, mine) for name, seed in seeds.items()}
            yield Case(image, target, float(mine.mean()), ious, {})


def gains(cases: Sequence[Case], a: str, b: str) -> list[float]:
    """IoU of each case by recipe `a` less that by `b`."""
    return [case.iou[a] - case.iou[b] for case in cases]


def overlap(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union; 0 where both are empty."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def area(case: Case) -> float:
    """The object's share of the image."""
    return case.area


def in_thirds(cases: Sequence[Case], of: Callable[[Case], float]) -> list[list[Case]]:
    """The third with the lowest values, the middle and the highest.

    Cases of equal value stay together, so that thirds may differ in size, and one may be empty.
    """
    if not cases:
        return [[], [], []]
    ordered = sorted(cases, key=of)
    values = [of(case) for case in ordered]
    ends = [0]
    for third in (1, 2):
        even = min((third * len(values) + 2) // 3, len(values) - 1)
        around = bisect_left(values, values[even]), bisect_right(values, values[even])
        ends.append(min(around, key=lambda end: abs(end - even)))
    return [ordered[start:end] for start, end in pairwise([*ends, len(values)])]


def averaged(cases: Sequence[Case], values: Sequence[float]) -> tuple[float, Interval | None]:
    """The mean of a value of each case, with its interval over images; NaN where there is no case.

    An image counts as one however often it was looked at: by several classifiers, say.
    """
    if not cases:
        return math.nan, None
    numbers = {image: n for n, image in enumerate(dict.fromkeys(case.image for case in cases))}
    image = [numbers[case.image] for case in cases]
    sums, counts = np.bincount(image, values), np.bincount(image)
    weights = sample_weights(len(numbers))
    return estimate((weights @ sums) / np.maximum(weights @ counts, 1))


def mean_of(cases: Sequence[Case], values: Sequence[float]) -> str:
    """The mean of a change of each case, in words."""
    value, interval = averaged(cases, values)
    return signed((value, *interval)) if interval else "–"
