"""How sensitive crop-averaged maps are to how the crops are taken (arXiv 2308.11052 fixes one way)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from beyondcam.data import VOID
from beyondcam.evidence import LEVELS, Evidence, Shelf
from beyondcam.metrics import Scores, estimate, sample_weights
from beyondcam.perturbations import Crops
from beyondcam.recipes import Recipe, Source
from beyondcam.studies.bench import Bench, Subject, difference, of_images, row_of, smoothed
from beyondcam.studies.finding import Finding, Interval, Plot, Table, bounded, cell, point, signed

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
N = 32
SCALES = ((0.15, 0.4), (0.3, 0.5), (0.3, 0.8), (0.6, 1.0))
SIZES = (0.5, 0.75, 1.0, 1.5)
WEIGHTS = ("none", "score", "share")
MAPS = ("saliency", "cam")
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
    most = COUNTS[-1]
    gain = difference(scores, f"saliency n={most}", f"saliency n={N}")
    over = difference(scores, f"saliency n={N}", f"cam n={N}")
    statement = (
        f"On {bench.notes['images']} images, {most} crops of saliency instead of {N} change mIoU by "
        f"{signed(gain)}; at {N} crops saliency less CAM is {signed(over)} (oracle τ). From draw to draw a "
        f"pixel of saliency varies by {bounded(*spread['saliency'][COUNTS[0]])} of its map's spread with "
        f"{COUNTS[0]} crop, by {bounded(*spread['saliency'][N])} with {N}; of CAM by "
        f"{bounded(*spread['cam'][N])} with {N}."
    )
    by_count = Plot(
        "mIoU against the number of crops", "crops", "mIoU",
        {of: [point(n, row_of(scores, f"{of} n={n}")) for n in COUNTS] for of in MAPS}, log=True,
    )  # fmt: skip
    steadiness = Plot(
        "deviation of a pixel over draws, as a share of the deviation over its map", "crops", "deviation",
        {of: [(n, *spread[of][n]) for n in COUNTS] for of in MAPS}, log=True,
    )  # fmt: skip
    return Finding(
        statement, (table(scores, recipes), by_area(bench, subject, found)), (by_count, steadiness)
    )


def menu() -> dict[str, Recipe]:
    """All that is compared, each recipe under one name; `cam` is the reference."""
    usual: dict[str, Any] = {"weight": "score", "normalise": True}
    varied: dict[str, tuple[str, dict[str, Any]]]
    varied = {f"{of} n={n}": (of, {**usual, "perturbation": Crops(n=n)}) for of in MAPS for n in COUNTS}
    varied |= {
        f"saliency scale={low}-{high}": ("saliency", {**usual, "perturbation": Crops(n=N, scale=(low, high))})
        for low, high in SCALES
    }
    varied |= {
        f"saliency size={size}": ("saliency", {**usual, "perturbation": Crops(n=N, size=size)})
        for size in SIZES
    }
    for weight in WEIGHTS:
        for normalise in (True, False):
            setting: dict[str, Any] = {"weight": weight, "normalise": normalise, "perturbation": Crops(n=N)}
            varied[f"saliency weight={weight}{', normalised' * normalise}"] = ("saliency", setting)
    recipes = {"cam": Recipe(source=Source(map="cam"))}
    for name, (of, setting) in varied.items():
        recipe = smoothed(of, **setting)
        if recipe not in recipes.values():  # what is usual stands under its number
            recipes[name] = recipe
    return recipes


def table(scores: Scores, recipes: dict[str, Recipe]) -> Table:
    """Every recipe's row."""
    usual = f"saliency n={N}"
    rows = []
    for name in recipes:
        row = row_of(scores, name)
        less = "–" if name == usual else signed(difference(scores, name, usual))
        rows.append((name, cell(row), less, cell(row, "ndr_recall"), cell(row, "fg_precision"),
                     f"{row['cost']['megapixels']:.2f}"))  # fmt: skip
    head = ("recipe", "mIoU", f"less {usual}", "NDR-Recall", "FG-Precision", "megapixels an image")
    return Table("One setting changed at a time, smoothed, oracle τ", head, rows)


def by_area(bench: Bench, subject: Subject, found: Mapping[str, Shelf]) -> Table:
    """MIoU by thirds of the images, from those with the smallest foreground to those with the largest."""
    ids, small, large = subject.images.ids, COUNTS[0], COUNTS[-1]
    numbers = (f"{of} n={n}" for of in MAPS for n in (small, N, large))
    shown = {
        n: found[n] for n in ("cam", *numbers, *(name for name in found if "scale" in name or "size" in name))
    }
    masks = [subject.masks.read(i).numpy() for i in ids]
    share = [((mask > 0) & (mask < VOID)).mean() for mask in masks]
    thirds = [part for part in np.array_split(np.argsort(share, kind="stable"), 3) if len(part)]
    scored = [bench.scored(of_images(subject, [ids[n] for n in sorted(part)]), shown) for part in thirds]
    head = ("recipe", *(f"foreground {share[p[0]]:.0%}–{share[p[-1]]:.0%}" for p in thirds))
    rows = [(name, *(cell(row_of(scores, name)) for scores in scored)) for name in shown]
    return Table("mIoU by the foreground's share of the image, each third at its own oracle τ", head, rows)


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
