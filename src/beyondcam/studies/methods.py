"""Ways to attribute a score to pixels, all refined alike, and baselines that know less than a classifier."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beyondcam.evidence import Shelf, map_witnesses
from beyondcam.metrics import (
    Row,
    count_boundaries,
    count_labels,
    estimate,
    holm,
    label_mious,
    p_value,
    score_labels,
)
from beyondcam.metrics.text import bounded, cell, change, estimated
from beyondcam.perturbations import LinearPath, Noise, Perturbation, Plain, Rise, Scales
from beyondcam.recipes import Cookbook, Recipe, Source
from beyondcam.seeds import seed_labels
from beyondcam.studies.finding import Dots, Finding, Table
from beyondcam.studies.untrained import map_crossed, untrained
from beyondcam.studies.workspace import Setup, Workspace

BEST = "best"
REFINE = Cookbook().recipe(BEST).refine
"""What every map goes through."""

RULES = {"adaptive": "at the default threshold", "oracle": "at the oracle's threshold"}
METRICS = {"mIoU": count_labels, "boundary IoU": count_boundaries}
CAM_SCALES = "multi-scale CAM"
RANDOM, RANDOM_AFFINITIES = "best of random weights", f"{CAM_SCALES}, affinities of random weights"

SCALES = Scales(sizes=(0.75, 1.0, 1.25, 1.5, 1.75, 2.0))
VIEWS = 32
"""Noisy copies, points of the path and crops; twice as many masks, for RISE makes no backward pass."""


@dataclass(frozen=True)
class MethodsSettings:
    """Views of the methods; by default about the megapixels of `best`, as far as a method allows it."""

    scales: Scales = SCALES
    views: int = VIEWS

    def attributions(self) -> dict[str, Recipe]:
        """What is compared with `best`; methods of one pass are averaged over scales and mirror images."""
        crops, of_cam = (Cookbook().recipe(name) for name in ("crops", "crops-cam"))
        rise = Source(map="visible", perturbation=Rise(n=2 * self.views), weight="score")
        return {
            BEST: Cookbook().recipe(BEST),
            "crops of saliency": crops.model_copy(update={"refine": REFINE}),
            "crops of CAM": of_cam.model_copy(update={"refine": REFINE}),
            CAM_SCALES: refined("cam", self.scales),
            "CAM, one pass": refined("cam"),
            "Grad-CAM": refined("gradcam", self.scales),
            "Grad-CAM++": refined("gradcam++", self.scales),
            "LayerCAM": refined("layercam", self.scales),
            "input × gradient": refined("input-x-gradient", self.scales),
            "integrated gradients": refined("input-x-gradient", LinearPath(steps=self.views)),
            "SmoothGrad": refined("saliency", Noise(n=self.views)),
            "RISE": Recipe(source=rise, refine=REFINE),
        }


BASELINES = {
    "centre prior": "centre",
    "colour contrast": "contrast",
    "spectral residual": "spectral-residual",
}


def refined(of: str, perturbation: Perturbation = Plain()) -> Recipe:
    """A map, averaged over views and refined."""
    return Recipe(source=Source(map=of, perturbation=perturbation), refine=REFINE)


class Method(NamedTuple):
    """A method under one threshold rule: its row, and each of `METRICS` in the full sample and resamples."""

    row: Row
    samples: Mapping[str, NDArray[np.float64]]


Methods = Mapping[str, Method]


def study_methods(workspace: Workspace, settings: MethodsSettings = MethodsSettings()) -> Finding:
    """Compare all methods with `best`, on the same images."""
    setup = workspace.main_setup()
    recipes = settings.attributions() | {name: refined(of) for name, of in BASELINES.items()}
    workspace.left_out |= map_witnesses(setup.classifier, setup.images, setup.run, log=workspace.log)
    evidence = workspace.map_images(setup, {"cam": Cookbook().recipe("cam")} | recipes)
    setup, random = workspace.usable(setup), untrained(setup)
    evidence[RANDOM] = map_crossed(workspace, setup, RANDOM, recipes[BEST], random, random)
    evidence[RANDOM_AFFINITIES] = map_crossed(
        workspace, setup, RANDOM_AFFINITIES, recipes[CAM_SCALES], setup.classifier, random
    )
    scores = workspace.score(setup, evidence)
    del evidence["cam"]  # the reference of NDR
    ids = workspace.usable(setup).images.ids
    by_rule = {
        rule: measure(setup, ids, evidence, {name: scores.row(name, rule) for name in evidence})
        for rule in RULES
    }
    tables = [method_table(of_rule, RULES[rule]) for rule, of_rule in by_rule.items()]
    tables += [class_table(of_rule, RULES[rule]) for rule, of_rule in by_rule.items()]
    plots = [
        Dots(
            metric,
            f"{metric}, 95 % over images",
            {
                RULES[rule]: {name: estimate(method.samples[metric]) for name, method in of_rule.items()}
                for rule, of_rule in by_rule.items()
            },
        )
        for metric in METRICS
    ]
    return Finding(statement(by_rule, len(ids)), tables, plots)


def measure(
    setup: Setup, ids: Sequence[str], evidence: Mapping[str, Shelf], rows: Mapping[str, Row]
) -> dict[str, Method]:
    """Every method at its row's threshold, counted against the masks."""

    def seed(name: str, image_id: str) -> NDArray[np.uint8]:
        return seed_labels(evidence[name].read(image_id), rows[name].background_score)

    samples: dict[str, NDArray[np.float64]] = {}
    for metric, count in METRICS.items():
        counted = [score_labels(partial(seed, name), ids, setup.masks, count)[0] for name in evidence]
        samples[metric] = label_mious(counted)  # (methods, samples)
    return {
        name: Method(rows[name], {metric: values[n] for metric, values in samples.items()})
        for n, name in enumerate(evidence)
    }


def difference(methods: Methods, name: str, other: str, metric: str = "mIoU") -> str:
    """A metric of one method less that of another, as text."""
    return change(methods[name].samples[metric] - methods[other].samples[metric])


def clear_ones(methods: Methods, metric: str) -> set[str]:
    """The methods that differ from `best` by Holm's correction over all of them."""
    best = methods[BEST].samples[metric]
    p_values = {name: p_value(m.samples[metric] - best) for name, m in methods.items() if name != BEST}
    return {name for name, p in holm(p_values).items() if p < 0.05}


def method_table(methods: Methods, where: str) -> Table:
    """One row per method."""
    clear = {metric: clear_ones(methods, metric) for metric in METRICS}
    rows = []
    for name, (row, samples) in methods.items():
        cells = []
        for metric in METRICS:
            less = "–" if name == BEST else difference(methods, name, BEST, metric)
            cells += [estimated(samples[metric]), less + " *" * (name in clear[metric])]
        megapixels = f"{row.cost.megapixels:.2f}" if row.cost else "–"
        rows.append((name, *cells, cell(row, "ndr_recall"), cell(row, "fg_precision"), megapixels))
    columns = [column for metric in METRICS for column in (metric, "minus best")]
    head = ("method", *columns, "NDR-Recall", "FG-Precision", "megapixels")
    return Table(f"Methods {where} (* differs from best by Holm's correction over the column)", head, rows)


def class_table(methods: Methods, where: str) -> Table:
    """IoU of each class, one row per method."""
    classes = list(methods[BEST].row.iou)
    rows = [
        (name, *(bounded(row.iou[c], row.iou_ci.get(c)) for c in classes))
        for name, (row, _) in methods.items()
    ]
    return Table(f"IoU of each class {where}", ("method", *classes), rows)


def statement(by_rule: Mapping[str, Methods], images: int) -> str:
    """The baselines first: what comes near `best` without a trained classifier is the finding."""
    sentences = [f"On {images} images, all refined as best is."]
    for rule, methods in by_rule.items():
        miou = {name: method.samples["mIoU"][0] for name, method in methods.items()}
        untrained = (*BASELINES, RANDOM)
        baseline = max(untrained, key=miou.__getitem__)
        others = [name for name in methods if name not in (*untrained, RANDOM_AFFINITIES, BEST)]
        rival = max(others, key=miou.__getitem__)
        clear = clear_ones(methods, "mIoU").intersection(others)
        best = estimated(methods[BEST].samples["mIoU"])
        sentences.append(
            f"{RULES[rule].capitalize()}: the mIoU of best is {best}. "
            f"Of maps that no trained network makes {baseline} comes nearest, at "
            f"{difference(methods, baseline, BEST)}; of the {len(others)} other methods {rival}, at "
            f"{difference(methods, rival, BEST)}, and {len(clear)} of them are clearly different by Holm's "
            f"correction. Affinities of random weights change {CAM_SCALES} by "
            f"{difference(methods, RANDOM_AFFINITIES, CAM_SCALES)}."
        )
    return " ".join(sentences)
