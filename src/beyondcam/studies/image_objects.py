"""Objects: the classes that an image's mask shows, with their size and the IoU that each recipe reaches."""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.evidence import Evidence, Shelf
from beyondcam.metrics import Scores, estimate, sample_weights
from beyondcam.metrics.bootstrap import Estimate
from beyondcam.metrics.text import signed
from beyondcam.seeds import seed_labels
from beyondcam.studies.workspace import Setup

Maps = Mapping[str, Evidence]
"""The evidence of an image by recipe."""

Predictors = Mapping[int, Mapping[str, float]]
"""What is known of an image's objects without the mask, by class and name."""

Predict = Callable[[Maps], Predictors]


class ImageObject(NamedTuple):
    """All pixels of one class in one image."""

    image: str  # its id
    target: int  # index of the class
    area: float  # share of the image, by the mask
    iou: Mapping[str, float]  # by recipe
    predictors: Mapping[str, float]  # what is known without the mask, by name


def score_objects(
    setup: Setup, evidence: Mapping[str, Shelf], scores: Scores, predict: Predict = lambda _: {}
) -> list[ImageObject]:
    """The objects of all images, each recipe at its oracle τ, with the predictors that `predict` returns."""
    taus = {name: cast(float, scores.row(name).threshold) for name in evidence}
    objects: list[ImageObject] = []
    for i in setup.images.ids:
        maps = {name: shelf.read(i) for name, shelf in evidence.items()}
        objects += objects_of(i, maps, setup.masks.read(i).numpy(), taus, predict(maps))
    return objects


def objects_of(
    image: str, maps: Maps, truth: NDArray[np.uint8], taus: Mapping[str, float], predictors: Predictors
) -> Iterator[ImageObject]:
    """The objects of an image; its maps and their τ are given by recipe."""
    seeds = {name: seed_labels(evidence, taus[name]) for name, evidence in maps.items()}
    known = truth != VOID
    for target in next(iter(maps.values())).targets:
        mask = truth == target + 1
        if mask.any():
            ious = {name: mask_iou((seed == target + 1) & known, mask) for name, seed in seeds.items()}
            yield ImageObject(image, target, float(mask.mean()), ious, predictors.get(target, {}))


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two masks; 0 where both are empty."""
    return float((a & b).sum() / max(1, (a | b).sum()))


def iou_changes(objects: Sequence[ImageObject], a: str, b: str) -> list[float]:
    """The IoU of each object with recipe `a` minus that with `b`."""
    return [item.iou[a] - item.iou[b] for item in objects]


def in_thirds(objects: Sequence[ImageObject], key: Callable[[ImageObject], Any]) -> list[list[ImageObject]]:
    """The thirds with the lowest, middle and highest values.

    Objects of equal value stay together, so thirds may differ in size, and one may be empty.
    """
    if not objects:
        return [[], [], []]
    ordered = sorted(objects, key=key)
    values = [key(item) for item in ordered]
    ends = [0]
    for third in (1, 2):
        even = min((third * len(values) + 2) // 3, len(values) - 1)
        around = bisect_left(values, values[even]), bisect_right(values, values[even])
        ends.append(min(around, key=lambda end: abs(end - even)))
    return [ordered[start:end] for start, end in pairwise([*ends, len(values)])]


def mean_over(objects: Sequence[ImageObject], values: Sequence[float]) -> Estimate:
    """The mean of one value per object, with its bootstrap interval over images; NaN without objects.

    All objects of an image are drawn together, also those seen by several classifiers.
    """
    if not objects:
        return math.nan, None
    numbers = {image: n for n, image in enumerate(dict.fromkeys(item.image for item in objects))}
    image = [numbers[item.image] for item in objects]
    sums, counts = np.bincount(image, values), np.bincount(image)
    weights = sample_weights(len(numbers))
    return estimate((weights @ sums) / np.maximum(weights @ counts, 1))


def mean_change(objects: Sequence[ImageObject], changes: Sequence[float]) -> str:
    """The mean of one change per object with its interval, as text."""
    value, interval = mean_over(objects, changes)
    return signed((value, *interval)) if interval else "–"
