"""The loss in mIoU if τ is chosen without masks, or with few.

    python benchmarks/thresholds.py --run runs/animals --recipe cam --recipe best [--name animals]

Reads the evidence of the RUN's splits `train` and `val` that best.py has made, scores `val`, and writes a
section of docs/results/thresholds.md. The masked images of the rule `few` are drawn at random from `train`,
many times.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np

from beyondcam.classifier import read_config
from beyondcam.data import LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.evidence import Shelf, Threshold, find_shelf, level_threshold, threshold_level
from beyondcam.metrics import (
    ImageTally,
    Sweep,
    band_of,
    resampled_miou,
    sample_weights,
    threshold_of,
)
from beyondcam.metrics.text import change
from beyondcam.seeds import write_seeds
from inputs import open_scored, tallies
from results import shown, table, write_section

COUNTS = (1, 2, 4, 8, 16, 32)
DRAWS = 200


def main() -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--recipe", action="append", required=True)
    parser.add_argument("--name", default="animals")
    parser.add_argument("--train", default="train")
    parser.add_argument("--val", default="val")
    arguments = parser.parse_args()
    config, classes = read_config(arguments.run)
    splits = [open_scored(config.data, split, classes) for split in (arguments.train, arguments.val)]
    by_rule, by_count, by_band = [], [], []
    for recipe in arguments.recipe:
        train, val = (tallies(arguments.run, *split, recipe) for split in splits)
        shelf = find_shelf(arguments.run, splits[1][0], recipe)
        blind = threshold_of(arguments.run, splits[1][0], shelf, "blind")
        rules, few = rows(train, val, threshold_level(cast(float, blind.value)), len(classes))
        by_rule.append((f"`{recipe}`", *rules))
        by_count.append((f"`{recipe}`", *few))
        band = band_of(arguments.run, splits[1][0], shelf, "blind", blind)
        by_band.append((f"`{recipe}`", f"{band:.3f}", *void_and_accuracy(shelf, *splits[1], blind, band)))
    options = [f"--{word} {vars(arguments)[word]}" for word in ("name", "train", "val")]
    words = [f"--run {arguments.run}", *(f"--recipe {recipe}" for recipe in arguments.recipe), *options]
    head = ("recipe", "oracle τ", "mIoU", "blind τ", "minus oracle's", "train τ", "minus oracle's")
    counts_head = ("recipe", *(f"{n} masked" for n in COUNTS))
    body = (
        f"{shown(config.data)}, scored on {len(splits[1][0].ids)} images of `{arguments.val}`; differences "
        f"in mIoU, paired.\n\n{table(*by_rule, head=head)}\n\nτ chosen on a few masked images of "
        f"`{arguments.train}`: mIoU minus the oracle's, mean and 5 % quantile of {DRAWS} draws:\n\n"
        f"{table(*by_count, head=counts_head)}\n\nWhat `--void blind` leaves void, at blind τ:\n\n"
        f"{table(*by_band, head=('recipe', 'band', 'void', 'accuracy of the rest', 'accuracy without void'))}"
    )
    title = f"Thresholds without masks: {arguments.name}"
    command = f"python benchmarks/thresholds.py {' '.join(words)}"
    write_section(f"thresholds-{arguments.name}", title, command, body)


def rows(
    train: Sequence[ImageTally], val: Sequence[ImageTally], blind: int, classes: int
) -> tuple[list[str], list[str]]:
    """A recipe's cells in the first two tables."""
    sweep = Sweep.of(val, classes)
    oracle = sweep.best_level()
    levels = {"blind": blind, "train": Sweep.of(train, classes).best_level()}
    best = mious(val, oracle, classes)
    cells = [f"{level_threshold(oracle):.3f}", f"{best[0]:.3f}"]
    for level in levels.values():
        cells += [f"{level_threshold(level):.3f}", change(mious(val, level, classes) - best)]
    rng, curve = np.random.default_rng(0), sweep.miou()
    few = []
    for n in COUNTS:
        drawn = [rng.choice(len(train), n, replace=False) for _ in range(DRAWS)]
        lost = [
            curve[Sweep.of([train[i] for i in some], classes).best_level()] - curve[oracle] for some in drawn
        ]
        few.append(f"{np.mean(lost):+.3f}, {np.quantile(lost, 0.05):+.3f}")
    return cells, few


def void_and_accuracy(
    shelf: Shelf, images: LabelledImages, masks: Masks, threshold: Threshold, band: float
) -> tuple[str, str, str]:
    """The share of void pixels with a band, and the accuracy of seeds with the band and without."""
    with TemporaryDirectory() as folder:
        banded, whole = (
            write_seeds(images, shelf, threshold, Path(folder), band=width, masks=masks)
            for width in (band, 0.0)
        )
    return f"{banded.void:.1%}", f"{banded.right:.1%}", f"{whole.right:.1%}"


def mious(counts: Sequence[ImageTally], level: int, classes: int) -> np.ndarray:
    """MIoU over images in the full sample, which comes first, and in every resample."""
    at_level = np.stack([tally.at(level, classes) for tally in counts])
    return resampled_miou(at_level, sample_weights(len(counts)))


if __name__ == "__main__":
    main()
