"""Does one threshold rule cut a thing of any size? A digit at ten sizes, from 0.1 % to 60 % of the canvas.

    python benchmarks/ten_sizes.py --run runs/digits --recipe best --recipe fast

Maps canvases of one digit each, by a classifier of the digits, and writes the section `ten-sizes` of
docs/results/size.md. Sizes count whose digit the classifier tells apart: on half of the canvases or more it
gives the digit's class at least 0.5.
"""

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from beyondcam import Classifier, Cookbook, folded, load_classifier, map_split
from beyondcam.data.digits import CLASSES, SIDE
from beyondcam.evidence import AdaptiveThreshold, find_shelf
from beyondcam.metrics import tallies_of
from beyondcam.metrics.tally import iou
from inputs import on_device, open_scored
from results import table, write_section

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.6)
"""Of the canvas, taken by the square that the digit is drawn in."""

APART = 0.15
"""How far apart the mean IoUs of the sizes may be that are told apart."""


def main() -> None:
    """Map, cut and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--recipe", action="append", required=True)
    parser.add_argument("--canvases", type=int, default=60, help="of each size")
    arguments = parser.parse_args()
    classifier = on_device(folded(load_classifier(arguments.run)))
    sides = [max(2, round(math.sqrt(share) * SIDE)) for share in SHARES]
    measured = [measure(classifier, side, arguments.recipe, arguments.canvases) for side in sides]
    told = np.array([share for share, _ in measured])
    ious = np.array([by_recipe for _, by_recipe in measured])  # (sizes, recipes)
    counted = ious[told >= 0.5]
    rows = [
        (f"{share:.1%}", side, f"{apart:.0%}", *(f"{value:.3f}" for value in values))
        for share, side, apart, values in zip(SHARES, sides, told, ious, strict=True)
    ]
    spread = np.ptp(counted, axis=0)
    verdicts = ", ".join(
        f"{value:.3f} for `{name}`{'' if value <= APART else ', which is more'}"
        for name, value in zip(arguments.recipe, spread, strict=True)
    )
    body = (
        f"Mean IoU of {arguments.canvases} canvases of each size, at `adaptive` without witnesses. Told "
        "apart: the share of canvases whose digit has a probability of a half or more. The bar is for the "
        f"sizes where that is half or more, here {len(counted)}: at most {APART} between the best and the "
        f"worst of them. It is {verdicts}.\n\n"
        + table(
            *rows, head=("share of the canvas", "side", "told apart", *(f"`{r}`" for r in arguments.recipe))
        )
    )
    recipes = " ".join(f"--recipe {name}" for name in arguments.recipe)
    command = f"python benchmarks/ten_sizes.py --run {arguments.run} {recipes}"
    write_section("ten-sizes", "A digit at ten sizes", command, body, page="results/size")


def measure(
    classifier: Classifier, side: int, recipes: Sequence[str], canvases: int
) -> tuple[float, NDArray[np.float64]]:
    """Of canvases of one digit of this side: the share that is told apart, and each recipe's mean IoU."""
    data, split = f"digits:smallest={side},largest={side},objects=1", f"val_{canvases}"
    images, masks = open_scored(data, split, CLASSES)
    scores, means = [], []
    with tempfile.TemporaryDirectory() as folder:
        chosen = {name: Cookbook().recipe(name) for name in recipes}
        map_split(classifier, images, chosen, Path(folder))
        for name in recipes:
            shelf = find_shelf(Path(folder), images, name)
            scores = [shelf.read(i).scores for i in images.ids]
            counts = [
                tally.at(AdaptiveThreshold().levels(tally.won), len(images.classes))
                for tally in tallies_of(shelf, images.ids, masks)
            ]
            means.append(np.mean([np.nan_to_num(iou(*each)[1:]).max() for each in counts]))
    told = classifier.probabilities(torch.tensor(scores)[:, 0]) >= 0.5
    return float(told.float().mean()), np.array(means)


if __name__ == "__main__":
    main()
