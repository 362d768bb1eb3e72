"""Scores of the recipes that are meant for seeds, beside CAM with the same refinement.

    python benchmarks/best.py --run runs/animals [--name animals] [--train-part N]

Maps the RUN's splits `train` and `val` where evidence is missing, scores `val`, and writes a section of
docs/results/best.md: mIoU by threshold rule, by class and by the size of the objects.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from beyondcam import Cookbook, ThresholdSplit, load_classifier, map_split, score_split
from beyondcam.classifier import read_config
from beyondcam.data import VOID, LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.evidence import CHUNK, map_witnesses, open_shelf, threshold_level
from beyondcam.metrics import ImageTally, Scores, number
from beyondcam.metrics.text import cell, change, signed
from inputs import on_device, open_scored, tallies
from results import shown, table, write_section
from thresholds import mious

CONTROL = "cam-ms+walk+affinity"
RECIPES = (
    "best",
    "fast",
    "crops+walk+affinity",
    "crops+walk",
    "crops-cam+walk+affinity",
    CONTROL,
    "cam-ms+walk",
    "cam+walk+affinity",
    "cam-ms",
    "cam",
)
FOR_SEEDS = ("best", "fast")
RULES = ("oracle", "train", "blind")


def main() -> None:
    """Map, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--name", default="animals")
    parser.add_argument("--train", default="train")
    parser.add_argument("--val", default="val")
    parser.add_argument("--train-part", type=int, default=1, help="map only one N-th of the training split")
    arguments = parser.parse_args()
    run = arguments.run
    config, classes = read_config(run)
    train, val = (open_scored(config.data, split, classes) for split in (arguments.train, arguments.val))
    classifier, cookbook = on_device(load_classifier(run)), Cookbook()
    recipes = {name: cookbook.recipe(name) for name in RECIPES}
    chunks = range(0, len(train[0].ids), CHUNK * arguments.train_part)
    mapped = tuple(i for n in chunks for i in train[0].ids[n : n + CHUNK])
    train = replace(train[0], ids=mapped), train[1]
    for images, _ in (train, val):
        map_split(classifier, images, recipes, run, workers=None)
    map_witnesses(classifier, val[0], run, workers=None)
    scores = score_split(run, *val, threshold_split=ThresholdSplit(*train), among=[
        open_shelf(run, val[0], targets="labels", precision="float32", name=name, recipe=recipe, seed=0)
        for name, recipe in recipes.items()
    ])  # fmt: skip
    body = section(run, scores, *val, shown(config.data))
    options = ("name", "train", "val", "train_part")
    words = " ".join(f"--{option.replace('_', '-')} {vars(arguments)[option]}" for option in options)
    command = f"python benchmarks/best.py --run {run} {words}"
    write_section(f"best-{arguments.name}", f"Recipes for seeds: {arguments.name}", command, body)


def section(run: Path, scores: Scores, images: LabelledImages, masks: Masks, data: str) -> str:
    """The text of the section."""
    by_rule = [
        (
            f"`{name}`",
            f"{cost.megapixels:.2f}" if (cost := scores.row(name).cost) else "–",
            *(cell(scores.row(name, rule)) for rule in RULES),
        )
        for name in RECIPES
    ]
    differences = [
        (f"`{name}`", *(signed(scores.difference(name, CONTROL, rule=rule)) for rule in RULES))
        for name in RECIPES
        if name != CONTROL
    ]
    rows = {name: scores.row(name, "train") for name in (*FOR_SEEDS, CONTROL)}
    by_class = [(label, *(number(row.iou[label]) for row in rows.values())) for label in rows[CONTROL].iou]
    counted = {name: tallies(run, images, masks, name) for name in rows}
    levels = {name: threshold_level(cast(float, row.threshold)) for name, row in rows.items()}
    by_rule_head = [f"{rule} τ" for rule in RULES]
    return (
        f"{data}, {rows[CONTROL].images} images of `{images.split}`: mIoU.\n\n"
        f"{table(*by_rule, head=('recipe', 'megapixels per image', *by_rule_head))}\n\n"
        f"Minus `{CONTROL}`, paired:\n\n{table(*differences, head=('recipe', *by_rule_head))}\n\n"
        f"IoU by class, τ chosen on train:\n\n{table(*by_class, head=('class', *rows))}\n\n"
        "mIoU by the foreground's share of the image, a third of the images per row, τ chosen on train, "
        f"and minus `{CONTROL}`, paired:\n\n{by_size(counted, levels, images, masks)}"
    )


def by_size(
    counted: dict[str, list[ImageTally]], levels: dict[str, int], images: LabelledImages, masks: Masks
) -> str:
    """One row per third of the images, those with the smallest foreground first."""
    truths = [masks.read(i).numpy() for i in images.ids]
    share = np.array([((truth > 0) & (truth < VOID)).mean() for truth in truths])
    rows = []
    for part in np.array_split(np.argsort(share, kind="stable"), 3):
        samples = {
            name: mious([counted[name][n] for n in part], levels[name], len(images.classes))
            for name in counted
        }
        cells = [f"{samples[name][0]:.3f}" for name in counted]
        cells += [change(samples[name] - samples[CONTROL]) for name in FOR_SEEDS]
        rows.append((f"{share[part[0]]:.0%}–{share[part[-1]]:.0%}", *cells))
    return table(*rows, head=("foreground", *counted, *(f"{name} minus {CONTROL}" for name in FOR_SEEDS)))


if __name__ == "__main__":
    main()
