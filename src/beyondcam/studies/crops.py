"""How sensitive crop-averaged maps are to how the crops are taken (arXiv 2308.11052 fixes one way)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from beyondcam.evidence import LEVELS, Evidence, Shelf
from beyondcam.metrics import Scores, estimate, sample_weights
from beyondcam.perturbations import Crops
from beyondcam.recipes import Recipe, Source
from beyondcam.studies.bench import Bench, Subject, of_images, smoothed
from beyondcam.studies.cases import Case, area, averaged, cases_of, gains, in_thirds, mean_of
from beyondcam.studies.finding import Finding, Interval, Plot, Table, bounded, cell, point, signed

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
N = 32
SCALES = ((0.15, 0.4), (0.3, 0.5), (0.3, 0.8), (0.6, 1.0))
SIZES = (0.5, 0.75, 1.0, 1.5)
WEIGHTS = ("none", "score", "share")
MAPS = ("saliency", "cam")
USUAL = f"saliency n={N}"
WHOLE = "saliency"
"""The recipe of one view of the whole image, which crops must gain upon."""

THIRDS = ("smallest", "middle", "largest")
DRAWN, DRAWS = 8, 5
"""Images that stability is measured on, and draws of each."""


def crops(bench: Bench) -> Finding:
    """Vary one thing at a time around n = 32, scale 0.3-0.8, the training size, weight score, normalised."""
    subject = bench.subject()
    recipes = menu()
    found = bench.mapped(subject, recipes)
    scores = bench.scored(subject, found)
    subject = bench.usable(subject)
    spread = stability(bench, subject)
    thirds = dict(zip(THIRDS, in_thirds(objects_of(subject, found, scores), area), strict=True))
    most = COUNTS[-1]
    more = scores.difference(f"saliency n={most}", USUAL)
    over = scores.difference(USUAL, f"cam n={N}")
    small, large = (mean_of(own, gains(own, USUAL, WHOLE)) for own in (thirds[THIRDS[0]], thirds[THIRDS[-1]]))
    statement = (
        f"On {bench.notes['images']} images, {most} crops of saliency instead of {N} change mIoU by "
        f"{signed(more)}; at {N} crops saliency less CAM is {signed(over)} (oracle τ). From draw to draw a "
        f"pixel of saliency varies by {bounded(*spread['saliency'][COUNTS[0]])} of its map's spread with "
        f"{COUNTS[0]} crop, by {bounded(*spread['saliency'][N])} with {N}; of CAM by "
        f"{bounded(*spread['cam'][N])} with {N}. Over one view of the whole image {N} crops of saliency "
        f"change the IoU of an object by {small} in the third with the smallest, by {large} in that with the "
        "largest."
    )
    by_count = Plot(
        "mIoU against the number of crops", "crops", "mIoU",
        {of: [point(n, scores.row(f"{of} n={n}")) for n in COUNTS] for of in MAPS}, log=True,
    )  # fmt: skip
    steadiness = Plot(
        "deviation of a pixel over draws, as a share of the deviation over its map", "crops", "deviation",
        {of: [(n, *spread[of][n]) for n in COUNTS] for of in MAPS}, log=True,
    )  # fmt: skip
    by_scale = Plot(
        f"IoU of an object by {N} crops of saliency less that by the whole image, by the object's size",
        "mean side of a crop, share of the image's", "difference of IoU",
        {
            f"{third} third": [
                (sum(scale) / 2, *averaged(own, gains(own, at_scale(scale), WHOLE))) for scale in SCALES
            ]
            for third, own in thirds.items()
            if own
        },
    )  # fmt: skip
    return Finding(
        statement, (table(scores, recipes), by_area(thirds, found)), (by_count, steadiness, by_scale)
    )


def menu() -> dict[str, Recipe]:
    """All that is compared, each recipe under one name; `cam` is the reference."""
    usual: dict[str, Any] = {"weight": "score", "normalise": True}
    varied: dict[str, tuple[str, dict[str, Any]]]
    varied = {f"{of} n={n}": (of, {**usual, "perturbation": Crops(n=n)}) for of in MAPS for n in COUNTS}
    varied |= {
        at_scale(scale): ("saliency", {**usual, "perturbation": Crops(n=N, scale=scale)}) for scale in SCALES
    }
    varied |= {
        f"saliency size={size}": ("saliency", {**usual, "perturbation": Crops(n=N, size=size)})
        for size in SIZES
    }
    for weight in WEIGHTS:
        for normalise in (True, False):
            setting: dict[str, Any] = {"weight": weight, "normalise": normalise, "perturbation": Crops(n=N)}
            varied[f"saliency weight={weight}{', normalised' * normalise}"] = ("saliency", setting)
    recipes = {"cam": Recipe(source=Source(map="cam")), WHOLE: smoothed("saliency", **usual)}
    for name, (of, setting) in varied.items():
        recipe = smoothed(of, **setting)
        if recipe not in recipes.values():  # what is usual stands under its number
            recipes[name] = recipe
    return recipes


def at_scale(scale: tuple[float, float]) -> str:
    """The name of the recipe with crops of such sides."""
    return USUAL if scale == Crops().scale else f"saliency scale={scale[0]}-{scale[1]}"


def table(scores: Scores, recipes: dict[str, Recipe]) -> Table:
    """Every recipe's row."""
    rows = []
    for name in recipes:
        row = scores.row(name)
        less = "–" if name == USUAL else signed(scores.difference(name, USUAL))
        rows.append((name, cell(row), less, cell(row, "ndr_recall"), cell(row, "fg_precision"),
                     f"{row.cost.megapixels if row.cost else 0:.2f}"))  # fmt: skip
    head = ("recipe", "mIoU", f"less {USUAL}", "NDR-Recall", "FG-Precision", "megapixels an image")
    return Table("One setting changed at a time, smoothed, oracle τ", head, rows)


def objects_of(subject: Subject, found: Mapping[str, Shelf], scores: Scores) -> list[Case]:
    """Every class in every image, at each recipe's oracle τ."""
    thresholds = {name: scores.row(name).threshold for name in found}
    return [
        case
        for i in subject.images.ids
        for case in cases_of(
            i,
            {name: shelf.read(i) for name, shelf in found.items()},
            subject.masks.read(i).numpy(),
            thresholds,
        )
    ]


def by_area(thirds: Mapping[str, Sequence[Case]], found: Mapping[str, Shelf]) -> Table:
    """Mean IoU of an object, and what crops change of it, from the smallest objects to the largest."""
    head = ["recipe"]
    for third, own in thirds.items():
        span = f"{own[0].area:.1%}–{own[-1].area:.1%} of the image" if own else "none"
        head += [f"{third} third ({span})", f"less {WHOLE}"]
    rows = []
    for name in found:
        row = [name]
        for own in thirds.values():
            row += [bounded(*averaged(own, [case.iou[name] for case in own])),
                    mean_of(own, gains(own, name, WHOLE))]  # fmt: skip
        rows.append(row)
    return Table("Mean IoU of an object by its size, at oracle τ over all images", head, rows)


Deviation = tuple[float, Interval | None]


def stability(bench: Bench, subject: Subject) -> dict[str, dict[int, Deviation]]:
    """How much a pixel varies from draw to draw: its deviation, by the deviation over its map's pixels.

    Each draw is first divided by its own mean: the scale of a map is not at stake.
    """
    some = of_images(subject, subject.images.ids[:DRAWN])
    recipes = {name: recipe for name, recipe in menu().items() if " n=" in name}
    draws = [bench.mapped(some, recipes, seed=seed) for seed in range(DRAWS)]
    weights = sample_weights(len(some.images.ids))
    found: dict[str, dict[int, Deviation]] = {of: {} for of in MAPS}
    for of in MAPS:
        for n in COUNTS:
            ratios = [
                deviation([shelves[f"{of} n={n}"].read(i) for shelves in draws]) for i in some.images.ids
            ]
            samples = weights @ np.array(ratios) / len(ratios)
            found[of][n] = estimate(samples)
    return found


def deviation(draws: Sequence[Evidence]) -> float:
    """Of several draws of an image's maps: deviation over draws by deviation over pixels, means over both."""
    v = (np.stack([draw.levels for draw in draws]) / (LEVELS - 1.0)) ** 2
    v /= np.maximum(v.mean((2, 3), keepdims=True), 1e-9)
    return float(v.std(0, ddof=1).mean() / max(v.std((2, 3)).mean(), 1e-9))
