"""How the way that crops are taken (one way in arXiv 2308.11052) changes crop-averaged maps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

import numpy as np

from beyondcam.evidence import LEVELS, Evidence
from beyondcam.metrics import Scores, estimate, sample_weights
from beyondcam.metrics.bootstrap import Estimate
from beyondcam.metrics.text import bounded, cell, signed
from beyondcam.perturbations import Crops
from beyondcam.recipes import Recipe, Source
from beyondcam.studies import image_objects
from beyondcam.studies.finding import Finding, Plot, Table, miou_point
from beyondcam.studies.image_objects import ImageObject, iou_changes, mean_change, mean_over
from beyondcam.studies.workspace import Setup, Workspace, smoothed

MAP_NAMES = ("saliency", "cam")
WHOLE_IMAGE = "saliency"
"""The recipe with one view of the whole image, which crops should improve on."""

THIRDS = ("smallest", "middle", "largest")


@dataclass(frozen=True)
class CropsSettings:
    """What is varied, one setting at a time."""

    counts: tuple[int, ...] = (1, 2, 4, 8, 16, 32, 64, 128)  # numbers of crops
    usual_count: int = 32  # with which the other settings are varied
    scales: tuple[tuple[float, float], ...] = ((0.15, 0.4), (0.3, 0.5), (0.3, 0.8), (0.6, 1.0))
    sizes: tuple[float, ...] = (0.5, 0.75, 1.0, 1.5)  # of the input, in training sizes
    weights: tuple[str, ...] = ("none", "score", "share")
    draws: int = 5  # random draws, of which the variation is measured
    drawn_images: int = 8  # on this number of images

    @property
    def usual(self) -> str:
        """The recipe that the others differ from in one setting."""
        return f"saliency n={self.usual_count}"

    def at_scale(self, scale: tuple[float, float]) -> str:
        """The recipe with crops of a scale."""
        return self.usual if scale == Crops().scale else f"saliency scale={scale[0]}-{scale[1]}"

    def recipes(self) -> dict[str, Recipe]:
        """Every recipe compared, under one name each, and the reference CAM."""
        usual: dict[str, Any] = {"weight": "score", "normalise": True}
        count = self.usual_count
        varied: dict[str, tuple[str, dict[str, Any]]] = {
            f"{of} n={n}": (of, usual | {"perturbation": Crops(n=n)}) for of in MAP_NAMES for n in self.counts
        }
        for scale in self.scales:
            crops = Crops(n=count, scale=scale)
            varied[self.at_scale(scale)] = ("saliency", usual | {"perturbation": crops})
        for size in self.sizes:
            crops = Crops(n=count, size=size)
            varied[f"saliency size={size}"] = ("saliency", usual | {"perturbation": crops})
        for weight in self.weights:
            for normalise in (True, False):
                source = {"weight": weight, "normalise": normalise, "perturbation": Crops(n=count)}
                varied[f"saliency weight={weight}{', normalised' * normalise}"] = ("saliency", source)
        recipes = {"cam": Recipe(source=Source(map="cam")), WHOLE_IMAGE: smoothed("saliency", **usual)}
        for name, (of, source) in varied.items():
            recipe = smoothed(of, **source)
            if recipe not in recipes.values():  # the usual values are named by their count
                recipes[name] = recipe
        return recipes


def study_crops(workspace: Workspace, settings: CropsSettings = CropsSettings()) -> Finding:
    """Vary one setting at a time around 32 crops, scale 0.3-0.8, training size, weight score, normalised."""
    setup = workspace.main_setup()
    recipes = settings.recipes()
    evidence = workspace.map_images(setup, recipes)
    scores = workspace.score(setup, evidence)
    setup = workspace.usable(setup)
    spread = stability(workspace, setup, settings)
    objects = image_objects.score_objects(setup, evidence, scores)
    thirds = dict(zip(THIRDS, image_objects.in_thirds(objects, attrgetter("area")), strict=True))
    fewest, most, n = settings.counts[0], settings.counts[-1], settings.usual_count
    more_crops = scores.difference(f"saliency n={most}", settings.usual)
    over_cam = scores.difference(settings.usual, f"cam n={n}")
    small, large = (
        mean_change(items, iou_changes(items, settings.usual, WHOLE_IMAGE))
        for items in (thirds[THIRDS[0]], thirds[THIRDS[-1]])
    )
    statement = (
        f"On {workspace.notes['images']} images, {most} crops of saliency instead of {n} change mIoU by "
        f"{signed(more_crops)}; with {n} crops, mIoU of saliency minus that of CAM is "
        f"{signed(over_cam)} (oracle τ). The standard deviation of a pixel over random draws, as a "
        f"share of that over its map, is ({settings.draws} draws of {settings.drawn_images} images) "
        f"{bounded(*spread['saliency'][fewest])} with {fewest} crop and "
        f"{bounded(*spread['saliency'][n])} with {n} for saliency, {bounded(*spread['cam'][n])} with {n} for "
        f"CAM. Compared with one view of the whole image, {n} crops of saliency change the IoU of an object "
        f"by {small} in the third with the smallest objects and by {large} in that with the largest."
    )
    by_count = Plot(
        "mIoU by number of crops", "crops", "mIoU",
        {of: [miou_point(n, scores.row(f"{of} n={n}")) for n in settings.counts] for of in MAP_NAMES},
        log=True,
    )  # fmt: skip
    by_draw = Plot(
        "Standard deviation of a pixel over draws, as a share of that over its map", "crops", "deviation",
        {of: [(n, *spread[of][n]) for n in settings.counts] for of in MAP_NAMES}, log=True,
    )  # fmt: skip
    by_scale = Plot(
        f"IoU of an object with {n} crops of saliency minus that with the whole image, by the object's size",
        "mean side of a crop, share of the image's", "difference of IoU",
        {
            f"{third} third": [
                (sum(scale) / 2,
                 *mean_over(items, iou_changes(items, settings.at_scale(scale), WHOLE_IMAGE)))
                for scale in settings.scales
            ]
            for third, items in thirds.items()
            if items
        },
    )  # fmt: skip
    tables = (score_table(scores, recipes, settings.usual), area_table(thirds, list(evidence)))
    return Finding(statement, tables, (by_count, by_draw, by_scale))


def score_table(scores: Scores, recipes: Mapping[str, Recipe], usual: str) -> Table:
    """One row per recipe."""
    rows = []
    for name in recipes:
        row = scores.row(name)
        change = "–" if name == usual else signed(scores.difference(name, usual))
        rows.append((name, cell(row), change, cell(row, "ndr_recall"),
                     cell(row, "fg_precision"), f"{row.cost.megapixels if row.cost else 0:.2f}"))  # fmt: skip
    head = ("recipe", "mIoU", f"minus {usual}", "NDR-Recall", "FG-Precision", "megapixels per image")
    return Table("One setting changed at a time, smoothed, oracle τ", head, rows)


def area_table(thirds: Mapping[str, Sequence[ImageObject]], recipes: Sequence[str]) -> Table:
    """Mean IoU of an object with each recipe, and its change by the crops, by the object's size."""
    head = ["recipe"]
    for third, items in thirds.items():
        span = f"{items[0].area:.1%}–{items[-1].area:.1%} of the image" if items else "none"
        head += [f"{third} third ({span})", f"minus {WHOLE_IMAGE}"]
    rows = []
    for name in recipes:
        row = [name]
        for items in thirds.values():
            row += [bounded(*mean_over(items, [item.iou[name] for item in items])),
                    mean_change(items, iou_changes(items, name, WHOLE_IMAGE))]  # fmt: skip
        rows.append(row)
    return Table("Mean IoU of an object by its size, at oracle τ over all images", head, rows)


def stability(workspace: Workspace, setup: Setup, settings: CropsSettings) -> dict[str, dict[int, Estimate]]:
    """How much pixels vary between random draws, by map and number of crops."""
    setup = setup.on_images(setup.images.ids[: settings.drawn_images])
    recipes = {name: recipe for name, recipe in settings.recipes().items() if " n=" in name}
    draws = [workspace.map_images(setup, recipes, seed=seed) for seed in range(settings.draws)]
    weights = sample_weights(len(setup.images.ids))
    deviations: dict[str, dict[int, Estimate]] = {of: {} for of in MAP_NAMES}
    for of in MAP_NAMES:
        for n in settings.counts:
            ratios = [
                deviation([evidence[f"{of} n={n}"].read(i) for evidence in draws]) for i in setup.images.ids
            ]
            deviations[of][n] = estimate(weights @ np.array(ratios) / len(ratios))
    return deviations


def deviation(draws: Sequence[Evidence]) -> float:
    """The mean deviation of a pixel over draws of an image's maps, divided by that over a map's pixels.

    Each map is divided by its mean first, so that its scale does not count.
    """
    v = (np.stack([draw.levels for draw in draws]) / (LEVELS - 1.0)) ** 2  # (draws, k, H, W)
    v /= np.maximum(v.mean((2, 3), keepdims=True), 1e-9)
    return float(v.std(0, ddof=1).mean() / max(v.std((2, 3)).mean(), 1e-9))
