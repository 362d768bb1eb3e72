"""How sensitive crop-averaged maps are to how the crops are taken (arXiv 2308.11052 fixes one way)."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from beyondcam.evidence import Shelf
from beyondcam.metrics import Scores
from beyondcam.perturbations import Crops
from beyondcam.recipes import Recipe, Source
from beyondcam.studies.bench import Bench, Subject, difference, of_images, row_of, smoothed
from beyondcam.studies.finding import Finding, Plot, Table, cell, point, signed

COUNTS = (1, 2, 4, 8, 16, 32, 64, 128)
N = 32
SCALES = ((0.15, 0.4), (0.3, 0.5), (0.3, 0.8), (0.6, 1.0))
SIZES = (0.5, 0.75, 1.0, 1.5)
WEIGHTS = ("none", "score", "share")
MAPS = ("saliency", "cam")
DRAWN = 8
"""Images that stability is measured on."""


def crops(bench: Bench) -> Finding:
    """Vary one thing at a time around n = 32, scale 0.3-0.8, the training size, weight score, normalised."""
    subject = bench.subject()
    recipes = menu()
    found = bench.mapped(subject, recipes)
    scores = bench.scored(subject, found)
    spread = stability(bench, subject)
    most = COUNTS[-1]
    gain = difference(scores, f"saliency n={most}", f"saliency n={N}")
    over = difference(scores, f"saliency n={N}", f"cam n={N}")
    statement = (
        f"On {len(subject.images.ids)} images, {most} crops of saliency instead of {N} change mIoU by "
        f"{signed(gain)}; at {N} crops saliency less CAM is {signed(over)} (oracle τ). "
        f"From draw to draw a pixel of {N} crops of saliency varies by "
        f"{spread['saliency'][N]:.3f} of its map's mean, of CAM by {spread['cam'][N]:.3f}."
    )
    by_count = Plot(
        "mIoU against the number of crops", "crops", "mIoU",
        {of: [point(n, row_of(scores, f"{of} n={n}")) for n in COUNTS] for of in MAPS}, log=True,
    )  # fmt: skip
    steadiness = Plot(
        "variation of a pixel over draws, as a share of its map's mean", "crops", "variation",
        {of: [(n, spread[of][n], None) for n in COUNTS] for of in MAPS}, log=True,
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
    ids = subject.images.ids
    masks = [subject.masks.read(i).numpy() for i in ids]
    share = [((mask > 0) & (mask < 255)).mean() for mask in masks]
    order = np.argsort(share, kind="stable")
    thirds = [part for part in np.array_split(order, 3) if len(part)]
    scored = [bench.scored(of_images(subject, [ids[n] for n in sorted(part)]), found) for part in thirds]
    head = ("recipe", *(f"foreground {share[p[0]]:.0%}–{share[p[-1]]:.0%}" for p in thirds))
    names = [name for name in found if name.startswith("saliency scale") or name in ("cam", f"cam n={N}")]
    rows = [(name, *(cell(row_of(scores, name)) for scores in scored)) for name in names]
    return Table("mIoU by the foreground's share of the image, each third at its own oracle τ", head, rows)


def stability(bench: Bench, subject: Subject) -> dict[str, dict[int, float]]:
    """How much a pixel varies from draw to draw: its standard deviation, as a share of the map's mean."""
    some = of_images(subject, subject.images.ids[:DRAWN])
    recipes = {name: recipe for name, recipe in menu().items() if " n=" in name}
    draws = [bench.mapped(some, recipes, seed=seed) for seed in range(max(2, bench.budget.repeats))]
    found: dict[str, dict[int, float]] = {of: {} for of in MAPS}
    for of in MAPS:
        for n in COUNTS:
            ratios = []
            for i in some.images.ids:
                levels = np.stack([shelves[f"{of} n={n}"].read(i).levels for shelves in draws])
                v = (levels / 255.0) ** 2
                means = v.mean((2, 3), keepdims=True)  # each draw by its own mean: the scale is not at stake
                ratios.append((v / np.maximum(means, 1e-9)).std(0, ddof=1).mean())
            found[of][n] = float(np.mean(ratios))
    return found
