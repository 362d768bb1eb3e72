"""Scores of the recipes that are meant for seeds, beside CAM and trivial baselines with the same refinement.

    python benchmarks/best.py --run runs/animals --name animals [--recipe NAME ...]

Maps what is missing of the RUN's split `val`, scores it, and writes the section best-NAME of
docs/results/best.md: mIoU by threshold rule, by class and by the size of the objects.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from beyondcam import score_split
from beyondcam.classifier import read_config
from beyondcam.data import VOID, LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.evidence import Threshold, find_shelf
from beyondcam.metrics import ImageTally, Scores, number, sample_weights
from beyondcam.metrics.tally import resampled_miou
from beyondcam.metrics.text import cell, change, signed
from inputs import open_scored, tallies
from results import seen, shown, table, write_section
from segment import map_missing

CONTROL = "cam-ms+walk+affinity+closer"
CROPS = "crops-cam+walk+affinity+closer"
"""The same views as those of `best`, asked for CAM alone."""

RECIPES = (
    "best",
    "fast",
    "crops+walk+affinity+closer",
    "crops+walk",
    CROPS,
    CONTROL,
    "cam-ms+walk",
    "cam+walk+affinity+closer",
    "cam-ms",
    "cam",
    "centre+walk+affinity+closer",
    "contrast+walk+affinity+closer",
    "spectral-residual+walk+affinity+closer",
)
FOR_SEEDS = ("best", "fast")
RULES = ("adaptive", "blind", "oracle")


def main() -> None:
    """Map, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", default="animals")
    parser.add_argument(
        "--recipe",
        action="append",
        default=[],
        help=f"of the rows, among them {', '.join((*FOR_SEEDS, CONTROL))}; by default {', '.join(RECIPES)}",
    )
    arguments = parser.parse_args()
    run, chosen = arguments.run, arguments.recipe or RECIPES
    config, classes = read_config(run)
    images, masks = open_scored(config.data, "val", classes)
    map_missing(run, images, set(chosen))
    scores = score_split(run, images, masks, among=[find_shelf(run, images, name) for name in chosen])
    body = section(run, chosen, scores, images, masks, shown(config.data))
    options = "".join(f" --recipe {name}" for name in arguments.recipe)
    command = f"python benchmarks/best.py --run {run} --name {arguments.name}{options}"
    write_section(f"best-{arguments.name}", f"Recipes for seeds: {arguments.name}", command, body)


def section(
    run: Path, names: Sequence[str], scores: Scores, images: LabelledImages, masks: Masks, data: str
) -> str:
    """The text of the section."""
    by_rule = [
        (
            f"`{name}`",
            f"{cost.megapixels:.2f}" if (cost := scores.row(name).cost) else "–",
            *(cell(scores.row(name, rule)) for rule in RULES),
        )
        for name in names
    ]
    differences = [
        (f"`{name}`", *(signed(scores.difference(name, CONTROL, rule=rule)) for rule in RULES))
        for name in names
        if name != CONTROL
    ]
    views = ""
    if CROPS in names:
        less = [f"{signed(scores.difference('best', CROPS, rule=rule))} by `{rule}`" for rule in RULES]
        views = f"`best` minus `{CROPS}`, whose views are the same: {', '.join(less)}.\n\n"
    rows = {name: scores.row(name, "adaptive") for name in (*FOR_SEEDS, CONTROL)}
    by_class = [(label, *(number(row.iou[label]) for row in rows.values())) for label in rows[CONTROL].iou]
    counted = {name: tallies(run, images, masks, name) for name in rows}
    thresholds = {name: row.background_score for name, row in rows.items()}
    heads = [f"`{rule}`" for rule in RULES]
    return (
        f"{data}, {rows[CONTROL].images} images of `{images.split}`: mIoU by the rule that chooses τ.\n\n"
        f"{table(*by_rule, head=('recipe', 'megapixels per image', *heads))}\n\n"
        f"{seen({name: scores.row(name, 'adaptive').supervision for name in names})}\n\n"
        f"Minus `{CONTROL}`, paired:\n\n{table(*differences, head=('recipe', *heads))}\n\n{views}"
        f"IoU by class, `adaptive`:\n\n{table(*by_class, head=('class', *rows))}\n\n"
        "mIoU by the foreground's share of the image, a third of the images per row, `adaptive`, "
        f"and minus `{CONTROL}`, paired:\n\n{by_size(counted, thresholds, images, masks)}"
    )


def by_size(
    counted: dict[str, list[ImageTally]],
    thresholds: dict[str, Threshold],
    images: LabelledImages,
    masks: Masks,
) -> str:
    """One row per third of the images, those with the smallest foreground first."""
    truths = [masks.read(i).numpy() for i in images.ids]
    share = np.array([((truth > 0) & (truth < VOID)).mean() for truth in truths])
    by_image = {  # (images, 3, classes + 1)
        name: np.stack([t.at(thresholds[name].levels(t.won), len(images.classes)) for t in counts])
        for name, counts in counted.items()
    }
    rows = []
    for part in np.array_split(np.argsort(share, kind="stable"), 3):
        weights = sample_weights(len(part))
        samples = {name: resampled_miou(counts[part], weights) for name, counts in by_image.items()}
        cells = [f"{samples[name][0]:.3f}" for name in counted]
        cells += [change(samples[name] - samples[CONTROL]) for name in FOR_SEEDS]
        rows.append((f"{share[part[0]]:.0%}–{share[part[-1]]:.0%}", *cells))
    return table(*rows, head=("foreground", *counted, *(f"{name} minus {CONTROL}" for name in FOR_SEEDS)))


if __name__ == "__main__":
    main()
