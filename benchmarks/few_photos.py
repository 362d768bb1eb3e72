"""The rule `adaptive` on few photos, beside the best single τ of the same photos.

    python benchmarks/few_photos.py --run runs/animals --name animals --recipe best --recipe fast

Maps what is missing of up to 96 images of a split that have a class, draws from them at random, many times,
and writes a section of docs/results/thresholds.md. Witnesses are of the drawn images alone.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from beyondcam.classifier import read_config
from beyondcam.data import evenly
from beyondcam.evidence import AdaptiveThreshold, Threshold, find_shelf
from beyondcam.metrics import ImageTally, Sweep, threshold_of
from beyondcam.metrics.tally import iou, mean_iou
from inputs import open_scored, tallies
from results import shown, table, write_section
from segment import map_missing

IMAGES = 96
SIZES = (6, 12, 24, 48)
DRAWS = 20
HEAD = ("recipe", "photos", "without witnesses", "`adaptive`", "best τ (oracle)", "minus the best")


def main() -> None:
    """Map, draw, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--recipe", action="append", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--split", default="train")
    arguments = parser.parse_args()
    config, classes = read_config(arguments.run)
    images, masks = open_scored(config.data, arguments.split, classes)
    images = replace(images, ids=evenly([i for i in images.ids if images.labels.get(i)], IMAGES))
    map_missing(arguments.run, images, set(arguments.recipe))
    rows = []
    for recipe in arguments.recipe:
        shelf = find_shelf(arguments.run, images, recipe)
        counted = dict(zip(images.ids, tallies(arguments.run, images, masks, recipe), strict=True))
        for size in (*SIZES, len(images.ids)):
            rng, mious = np.random.default_rng(size), []
            for _ in range(DRAWS if size < len(images.ids) else 1):
                ids = sorted(rng.choice(images.ids, size, replace=False).tolist())
                drawn = replace(images, ids=tuple(ids))
                rule = threshold_of(arguments.run, drawn, shelf, "adaptive")
                some = [counted[i] for i in ids]
                oracle = Sweep.of(some, len(classes)).miou().max()
                mious.append([*(miou(some, t, len(classes)) for t in (AdaptiveThreshold(), rule)), oracle])
            means = (f"{mean:.3f}" for mean in np.mean(mious, 0))
            less = np.array([adaptive - oracle for _, adaptive, oracle in mious])
            cells = (*means, f"{less.mean():+.3f}, {np.quantile(less, 0.05):+.3f}")
            rows.append((f"`{recipe}`", size, *cells))
    body = (
        f"{shown(config.data)}: {len(images.ids)} images of `{arguments.split}`, and {DRAWS} draws of fewer; "
        f"mean mIoU of the draws. The last column is mean and 5 % quantile of the draws.\n\n"
        f"{table(*rows, head=HEAD)}"
    )
    title = f"Few photos: {arguments.name}"
    command = f"python benchmarks/few_photos.py {' '.join(sys.argv[1:])}"
    write_section(f"few-{arguments.name}", title, command, body, page="results/thresholds")


def miou(some: Sequence[ImageTally], threshold: Threshold, classes: int) -> float:
    """The mean IoU of images at a threshold."""
    counts = [tally.at(threshold.levels(tally.won), classes) for tally in some]
    intersection, predicted, true = np.sum(counts, 0)
    return float(mean_iou(iou(intersection, predicted, true), true))


if __name__ == "__main__":
    main()
