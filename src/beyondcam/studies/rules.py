"""Rules that decide for each object, without masks, whether to use saliency or CAM."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from beyondcam.evidence import level_at_size
from beyondcam.metrics.text import bounded
from beyondcam.studies import image_objects
from beyondcam.studies.finding import Table
from beyondcam.studies.image_objects import ImageObject, Maps, Predictors, iou_changes, mask_iou, mean_change
from beyondcam.studies.map_pairs import WHOLE_IMAGE, MapPair

QUARTER = 127
"""The level of √v = 1/2, a quarter of a map's maximum."""

PREDICTORS = {
    "probability": "the class's probability",
    "cam_area": "the share of the image above a quarter of the CAM's maximum",
    "cam_positions": "the number of CAM positions above a quarter of its maximum",
    "saliency_area": "the share of the image above a quarter of the saliency's maximum",
    "overlap": "the IoU of these two regions of CAM and saliency",
    "classes": "the number of classes in the image",
}
"""What is known of an object without its mask."""


def predictors_of(maps: Maps, positions: int) -> Predictors:
    """The predictors of each target of an image; `positions` is the number of positions of the CAM."""
    cam, saliency = maps[WHOLE_IMAGE.cam], maps[WHOLE_IMAGE.saliency]
    predictors = {}
    for k, target in enumerate(cam.targets):
        cam_region, saliency_region = (level_at_size(each, k) > QUARTER for each in (cam, saliency))
        predictors[target] = {
            "probability": float(1 / (1 + np.exp(-cam.scores[k]))),
            "cam_area": float(cam_region.mean()),
            "cam_positions": float(cam_region.mean() * positions),
            "saliency_area": float(saliency_region.mean()),
            "overlap": mask_iou(cam_region, saliency_region),
            "classes": float(len(cam.targets)),
        }
    return predictors


class Rule(NamedTuple):
    """Use saliency where a predictor is above a threshold (or else, where it is not), CAM elsewhere."""

    predictor: str
    threshold: float
    above: bool

    def uses_saliency(self, item: ImageObject) -> bool:
        """Whether the rule chooses saliency for an object."""
        return (item.predictors[self.predictor] > self.threshold) == self.above

    def __str__(self) -> str:
        if np.isinf(self.threshold):
            return f"always use {'saliency' if (self.threshold < 0) == self.above else 'CAM'}"
        where = f"{PREDICTORS[self.predictor]} is {'above' if self.above else 'at most'} {self.threshold:.3g}"
        return f"use saliency where {where}, CAM elsewhere"


def gain(item: ImageObject) -> float:
    """IoU with saliency minus IoU with CAM, both of the whole image."""
    return item.iou[WHOLE_IMAGE.saliency] - item.iou[WHOLE_IMAGE.cam]


def mean_gain(objects: Sequence[ImageObject]) -> float:
    """The mean gain of saliency over CAM."""
    return float(np.mean([gain(item) for item in objects]))


def gain_text(objects: Sequence[ImageObject], pair: MapPair = WHOLE_IMAGE) -> str:
    """The mean gain of saliency over CAM in a pair of maps, with its interval."""
    return mean_change(objects, iou_changes(objects, pair.saliency, pair.cam))


def fit_rule(objects: Sequence[ImageObject]) -> Rule:
    """The rule with the highest mean IoU over all predictors and thresholds.

    Where none is better than always using the same map, the rule is to use that one.
    """
    best = Rule("cam_area", -np.inf if mean_gain(objects) > 0 else np.inf, above=True)
    most = max(0.0, sum(gain(item) for item in objects))
    for predictor in PREDICTORS:
        ordered = sorted(objects, key=lambda item: item.predictors[predictor])
        values = np.array([item.predictors[predictor] for item in ordered])
        below = np.cumsum([gain(item) for item in ordered])[:-1]
        separable = values[:-1] < values[1:]
        for above, sums in ((True, below[-1:] + gain(ordered[-1]) - below), (False, below)):
            if not separable.any():
                continue
            n = int(np.where(separable, sums, -np.inf).argmax())
            if sums[n] > most:
                most, best = float(sums[n]), Rule(predictor, float((values[n] + values[n + 1]) / 2), above)
    return best


class Fold(NamedTuple):
    """The objects that a rule is fitted on, and others that it is tested on."""

    fit: Sequence[ImageObject]
    test: Sequence[ImageObject]


def evaluate_rules(folds: Sequence[Fold]) -> tuple[list[ImageObject], list[float], list[float]]:
    """Fit a rule in each fold and test it.

    Returns the test objects, and the gain over CAM on each: with the fold's rule, and with the one map that
    is better on the objects fitted on.
    """
    objects, by_rule, by_constant = list[ImageObject](), list[float](), list[float]()
    for fit, test in folds:
        rule, always = fit_rule(fit), mean_gain(fit) > 0
        objects += test
        by_rule += [gain(item) * rule.uses_saliency(item) for item in test]
        by_constant += [gain(item) * always for item in test]
    return objects, by_rule, by_constant


def describe_rule(rule: Rule, source: str, folds: Mapping[str, Fold]) -> str:
    """The rule, what it was fitted on, and how well such rules do on other objects."""
    text = f"Rule of thumb, fitted on {source}: {rule}."
    if not folds:
        return f"{text} There are no other objects to test it on."
    objects, by_rule, by_constant = evaluate_rules(list(folds.values()))
    change = mean_change(objects, np.subtract(by_rule, by_constant).tolist())
    ideal = [max(0, gain(item)) - c for item, c in zip(objects, by_constant, strict=True)]
    return (
        f"{text} Tested on objects that it was not fitted on ({'; '.join(folds)}; {len(objects)} objects), "
        f"such a rule changes the IoU of an object by {change} compared with always using the map that is "
        "better on the objects fitted on; choosing the better map for each object by its mask would change "
        f"it by {mean_change(objects, ideal)}."
    )


def fold_table(folds: Mapping[str, Fold]) -> Table:
    """One row per fold."""
    rows = []
    for name, fold in folds.items():
        objects, by_rule, by_constant = evaluate_rules([fold])
        ious = ([item.iou[recipe] for item in objects] for recipe in (WHOLE_IMAGE.cam, WHOLE_IMAGE.saliency))
        rows.append((name, str(fit_rule(fold.fit)), str(len(objects)),
                     *(bounded(*image_objects.mean_over(objects, values)) for values in ious),
                     "saliency" if mean_gain(fold.fit) > 0 else "CAM",
                     mean_change(objects, np.subtract(by_rule, by_constant).tolist())))  # fmt: skip
    head = ("tested on", "rule", "objects", "mean IoU of CAM", "of saliency", "better where fitted",
            "rule minus that map")  # fmt: skip
    return Table("Rules tested on objects they were not fitted on", head, rows or [("nothing", *"–" * 6)])
