"""When saliency beats CAM: one factor varied at a time on the digits; by class and by size on a RUN."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np

from beyondcam.data.digits import Settings
from beyondcam.errors import BeyondcamError
from beyondcam.metrics import Scores, number
from beyondcam.metrics.text import signed
from beyondcam.perturbations import Plain
from beyondcam.studies import map_pairs, rules
from beyondcam.studies.finding import Finding, Plot, Table
from beyondcam.studies.image_objects import ImageObject, in_thirds, score_objects
from beyondcam.studies.map_pairs import WHOLE_IMAGE
from beyondcam.studies.rules import Fold, Rule, describe_rule, fit_rule, fold_table, gain_text
from beyondcam.studies.workspace import Setup, Workspace

FACTORS = {
    "side": "mean side of the digits, px",
    "number": "mean number of digits",
    "scraps": "pieces of digits in the background",
    "inside": "speckle inside digits",
    "ground": "speckle in the background",
    "epochs": "epochs of training",
    "kernel": "F of the ConvNet",
    "input": "input of the whole image, training sizes",
}
"""What is varied, and its label."""


class Variation(NamedTuple):
    """Changes of the training, if any, and the size at which the whole image is shown."""

    changes: Mapping[str, object]
    size: float = 1.0


Variations = Mapping[str, Mapping[float, Variation | None]]
"""By factor and value; None for the usual value."""


def all_variations(epochs: int) -> Variations:
    """The values of each factor; `epochs` is the usual value of that one."""

    def canvases(**settings: object) -> Variation:
        return Variation({"data": Settings.model_validate(settings).data})

    def trained(epochs: int) -> Variation:
        return Variation({"epochs": epochs})

    usual, quarter, half = None, max(1, epochs // 4), max(1, epochs // 2)
    return {
        "side": {20: canvases(smallest=16, largest=24), 32: usual, 44: canvases(smallest=36, largest=52)},
        "number": {1: canvases(objects="1"), 3: usual, 5: canvases(objects="4-6")},
        "scraps": {0: canvases(scraps=0), 16: usual, 48: canvases(scraps=48)},
        "inside": {0: usual, 0.6: canvases(inside=0.6)},
        "ground": {0: usual, 0.6: canvases(ground=0.6)},
        "epochs": {quarter: trained(quarter), half: trained(half), epochs: usual,
                   2 * epochs: trained(2 * epochs)},
        "kernel": {3: Variation({"kernel": 3}), 5: usual, 7: Variation({"kernel": 7})},
        "input": {0.75: Variation({}, 0.75), 1: usual, 1.5: Variation({}, 1.5), 2: Variation({}, 2)},
    }  # fmt: skip


@dataclass(frozen=True)
class WhenSettings:
    """What is varied on the digits, and the factors that a quick budget varies."""

    variations: Callable[[int], Variations] = all_variations
    quick: tuple[str, ...] = ("side", "input")


class Result(NamedTuple):
    """A setup, the scores of both pairs of maps, and the objects of its images."""

    setup: Setup
    scores: Scores
    objects: Sequence[ImageObject]


def study_when(workspace: Workspace, settings: WhenSettings = WhenSettings()) -> Finding:
    """On the digits by what is varied; on a RUN by class and by size, without any training."""
    return study_run(workspace) if workspace.run else study_digits(workspace, settings)


def study_digits(workspace: Workspace, settings: WhenSettings) -> Finding:
    """Vary one factor at a time; test the rule on each factor, fitted on all others."""
    usual = score_pairs(workspace, workspace.main_setup())
    results: dict[str, dict[float, Result]] = {}
    for factor, variations in settings.variations(workspace.budget.epochs).items():
        if factor not in settings.quick and not workspace.budget.thorough:
            workspace.notes[f"without {factor}"] = "too slow for a quick study"
            continue
        results[factor] = {}
        for x, variation in variations.items():
            changes, size = variation or Variation({})
            setup = workspace.train_setup(f"{factor}-{x:g}", **changes) if changes else usual.setup
            results[factor][x] = score_pairs(workspace, setup, size) if variation else usual
    varied = {
        factor: [item for result in values.values() if result is not usual for item in result.objects]
        for factor, values in results.items()
    }
    objects = [*usual.objects, *chain(*varied.values())]
    folds = {}
    for factor, test in varied.items():
        fit = [*usual.objects, *chain(*(items for other, items in varied.items() if other != factor))]
        folds[f"{factor}, fitted without it"] = Fold(fit, test)
    workspace.notes["rules"] = "epochs, kernel and input do not change the canvases: tested on the usual ones"
    ends = "; ".join(
        f"{FACTORS[factor]} {min(values):g} to {max(values):g}: "
        + " to ".join(signed(WHOLE_IMAGE.difference(values[end(values)].scores)) for end in (min, max))
        for factor, values in results.items()
    )
    rule = describe_rule(fit_rule(objects), f"{len(objects)} digits on the canvases", folds)
    statement = (
        f"MIoU of saliency minus that of CAM, with one factor varied at a time (both smoothed, oracle τ, one "
        f"training each): {ends}. {rule}"
    )
    plots = [
        Plot(f"{FACTORS[factor]}: mIoU of saliency minus that of CAM", FACTORS[factor], "difference of mIoU",
             {pair.label: [pair.point(x, r.scores) for x, r in values.items()] for pair in map_pairs.BOTH})
        for factor, values in results.items()
    ]  # fmt: skip
    return Finding(statement, (factor_table(results), thirds_table(objects), fold_table(folds)), plots)


def study_run(workspace: Workspace) -> Finding:
    """Compare by class and by size; test a rule fitted on other RUNs, or on other classes of this one."""
    setup, scores, objects = result = score_pairs(workspace, workspace.main_setup())
    others = [score_pairs(other, other.main_setup()) for other in workspace.others]
    if others:
        fit: list[ImageObject] = []
        for other in others:
            theirs = other.setup.images
            tested = theirs.shared(setup.images) if theirs.data == setup.images.data else ()
            fit += [item for item in other.objects if item.image not in tested]
        if not fit:
            raise BeyondcamError("has no other photos than the RUN, to fit a rule on", parameter="beside")
        source = f"{len(fit)} objects of {', '.join(str(other.run) for other in workspace.others)}"
        folds = {"this RUN": Fold(fit, objects)}
    else:
        classes = sorted({item.target for item in objects})
        halves = [[item for item in objects if classes.index(item.target) % 2 == n] for n in (0, 1)]
        images = [{item.image for item in half} for half in halves]
        fit, source = list(objects), f"{len(objects)} objects"
        folds = {}
        for n, numbers in enumerate(("1, 3, …", "2, 4, …")):
            others_fit = [item for item in halves[1 - n] if item.image not in images[n]]
            folds[f"classes {numbers}, fitted on the others on other images"] = Fold(others_fit, halves[n])
    folds = {name: fold for name, fold in folds.items() if all(fold)}
    rule = fit_rule(fit)
    small, _, large = in_thirds(objects, attrgetter("area"))
    statement = (
        f"On {workspace.notes['images']} images, mIoU of saliency minus that of CAM is "
        f"{signed(WHOLE_IMAGE.difference(scores))} (both smoothed, oracle τ; classifier: {setup.quality}). "
        f"The IoU of an object, a class in an image, changes by {gain_text(small)} in the third with the "
        f"smallest objects and by {gain_text(large)} in that with the largest. "
        f"{describe_rule(rule, source, folds)}"
    )
    return Finding(statement, (class_table(result, rule), thirds_table(objects), fold_table(folds)))


def score_pairs(workspace: Workspace, setup: Setup, size: float = 1.0) -> Result:
    """Map and score both pairs of maps, over the data set and for each object."""
    evidence = workspace.map_images(setup, map_pairs.recipes(Plain(size=size)))
    scores = workspace.score(setup, evidence)
    compared = {name: evidence[name] for name in map_pairs.NAMES}
    predict = partial(rules.predictors_of, positions=map_pairs.cam_positions(setup.classifier, size))
    return Result(setup, scores, score_objects(workspace.usable(setup), compared, scores, predict))


def factor_table(results: Mapping[str, Mapping[float, Result]]) -> Table:
    """One row per value of each factor."""
    rows = [
        (
            f"{FACTORS[factor]}: {x:g}",
            number(setup.mean_ap),
            number(setup.chance_ap),
            *map_pairs.cells(scores),
        )
        for factor, values in results.items()
        for x, (setup, scores, _) in values.items()
    ]
    title = "One factor varied at a time, oracle τ, all maps smoothed"
    return Table(title, ("", "mAP", "chance level", *map_pairs.HEAD), rows)


def thirds_table(objects: Sequence[ImageObject]) -> Table:
    """The gain in each third of the objects, by size and by each predictor."""
    keys: dict[str, Any] = {"the object's share of the image": attrgetter("area")}
    keys |= {label: lambda item, p=name: item.predictors[p] for name, label in rules.PREDICTORS.items()}
    rows = []
    for label, key in keys.items():
        for third, items in zip(("lowest", "middle", "highest"), in_thirds(objects, key), strict=True):
            span = f"{min(map(key, items)):.3g}–{max(map(key, items)):.3g}" if items else "–"
            gains = (gain_text(items, pair) for pair in map_pairs.BOTH)
            rows.append((f"{label}, {third}", span, str(len(items)), *gains))
    head = ("third of the objects", "range", "objects", *map_pairs.LABELS)
    return Table("Mean change of an object's IoU, saliency minus CAM", head, rows)


def class_table(result: Result, rule: Rule) -> Table:
    """One row per class: IoU over the data set, mean gain on its objects, and the rule's choices."""
    rows = []
    counts = Counter(item.target for item in result.objects)
    for target, count in sorted(counts.items()):
        name = result.setup.images.classes[target]
        items = [item for item in result.objects if item.target == target]
        ious = [number(result.scores.row(recipe).iou[name]) for recipe in map_pairs.NAMES]
        rows.append((name, str(count), f"{np.median([item.area for item in items]):.1%}", *ious,
                     *(gain_text(items, pair) for pair in map_pairs.BOTH),
                     f"{np.mean([rule.uses_saliency(item) for item in items]):.0%}"))  # fmt: skip
    head = ("class", "objects", "median share of the image", "IoU of CAM", "of saliency", "of crops of CAM",
            "of crops of saliency", *map_pairs.LABELS, "share for which the rule uses saliency")  # fmt: skip
    return Table("By class, oracle τ: IoU over all images, and mean change of an object's IoU", head, rows)
