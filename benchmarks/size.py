"""Masks of things of any size: the default threshold beside the best ones, and class by class.

    python benchmarks/size.py --run runs/tiles --name tiles --things --recipe best --recipe fast

Maps what is missing of the RUN's split `val`, and writes a section of docs/results/size.md. `--things` leaves
the background out of the mean IoU.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from beyondcam.classifier import read_config
from beyondcam.data import VOID, LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.evidence import Threshold, find_shelf, level_threshold, threshold_level
from beyondcam.metrics import (
    ImageTally,
    Sweep,
    pretraining_of,
    sample_weights,
    second_opinion,
    supervision_of,
    threshold_of,
)
from beyondcam.metrics.tally import Counts, above, iou, mean_iou, resampled
from beyondcam.metrics.text import change, estimated
from beyondcam.seeds import seed_labels
from beyondcam.seeds.confidence import found_in
from inputs import open_scored, tallies
from results import seen, shown, table, write_section
from segment import map_missing

Levels = Callable[[ImageTally], Counts]
"""The level of each label that wins somewhere in an image."""


@dataclass(frozen=True)
class Measured:
    """A recipe's counts on a split, and how its mean IoU is taken."""

    images: Sequence[ImageTally]
    classes: int
    first: int  # of the classes in the mean: 0 with the background, 1 without
    adaptive: Threshold  # of the rule `adaptive`

    def default(self, tally: ImageTally) -> Counts:
        """The levels of the rule `adaptive`."""
        return self.adaptive.levels(tally.won)

    def by_class(self, levels: Levels) -> NDArray[np.float64]:
        """IoU (classes + 1, samples), the full sample first."""
        by_image = np.stack([tally.at(levels(tally), self.classes) for tally in self.images])
        return iou(*resampled(by_image, sample_weights(len(by_image)))).T

    def mean(self, levels: Levels) -> NDArray[np.float64]:
        """The mean IoU of every sample."""
        by_class = self.by_class(levels)[self.first :]
        return mean_iou(by_class, np.ones_like(by_class, np.int64))

    @property
    def curves(self) -> NDArray[np.float64]:
        """IoU at every level: (classes + 1, LEVELS)."""
        sweep = Sweep.of(self.images, self.classes)
        return iou(sweep.intersection, sweep.predicted, sweep.true[:, None])

    def oracle(self) -> int:
        """The one level with the highest mean IoU."""
        curves = self.curves[self.first :]
        return int(mean_iou(curves, np.ones_like(curves, np.int64)).argmax())

    def oracles(self) -> Counts:
        """The level of each class with the highest IoU of that class: (classes + 1,)."""
        return np.nan_to_num(self.curves).argmax(1)


def constant(level: int) -> Levels:
    """One level for all."""
    return lambda tally: np.full(len(tally.labels), level)


def of_class(levels: Counts) -> Levels:
    """A level for each class (classes + 1,)."""
    return lambda tally: levels[tally.labels]


def best_of_each(images: Sequence[ImageTally]) -> float:
    """The mean, over images and the classes they show, of the IoU at the level that is best for both."""
    best = []
    for tally in images:
        total = tally.counts.sum((1, 2))
        for row, label in enumerate(tally.truths):
            if label:
                column = np.flatnonzero(tally.labels == label)
                won = above(tally.counts[:, column].sum((0, 1)))
                hits = above(tally.counts[row, column].sum(0))
                best.append((hits / np.maximum(won + total[row] - hits, 1)).max())
    return float(np.mean(best))


def section(measured: dict[str, Measured], megapixels: dict[str, float], blind: dict[str, int]) -> str:
    """The table of recipes by threshold; `blind` are the levels of that rule."""
    rows = []
    for name, m in measured.items():
        adaptive, level = m.mean(m.default), m.oracle()
        one, each = m.mean(constant(level)), m.mean(of_class(m.oracles()))
        rows.append((
            f"`{name}`", f"{megapixels[name]:.2f}", estimated(adaptive),
            f"{m.mean(constant(blind[name]))[0]:.3f}", f"{one[0]:.3f} at {level_threshold(level):.2f}",
            f"{each[0]:.3f}", f"{best_of_each(m.images):.3f}", change(adaptive - one),
            change(adaptive - each),
        ))  # fmt: skip
    head = (
        "recipe", "megapixels per image", "`adaptive`", "`blind`", "best τ (oracle)", "best τ of each class",
        "best τ of each image and class", "`adaptive` minus oracle", "`adaptive` minus best of each class",
    )  # fmt: skip
    return table(*rows, head=head)


def class_rows(measured: dict[str, Measured], names: Sequence[str]) -> str:
    """The table of classes: how many images show one, how large it is there, and its IoU."""
    rows = []
    images = next(iter(measured.values())).images
    by_class = {name: m.by_class(m.default) for name, m in measured.items()}
    for k, label in enumerate(names, start=1):
        areas = [t.counts[t.truths == k].sum() / t.counts.sum() for t in images if k in t.truths]
        area = f"{np.median(areas):.1%}" if areas else "–"
        rows.append((label, len(areas), area, *(estimated(by_class[name][k]) for name in measured)))
    return table(*rows, head=("class", "images", "median area", *(f"`{name}`" for name in measured)))


def confidence_rows(run: Path, images: LabelledImages, masks: Masks, measured: Mapping[str, Measured]) -> str:
    """How well confidences rank the images by the mean IoU of their classes, and how near their mean is."""
    rows = []
    for name, m in measured.items():
        shelf = find_shelf(run, images, name)
        second = second_opinion(run, images, shelf)
        if second is None:
            continue
        other, threshold = second
        pairs = []  # confidence and IoU of each image with a class
        for i in images.ids:
            evidence = shelf.read(i) if shelf.path(i).exists() else None
            if evidence is None or not evidence.targets:
                continue
            seed, truth = seed_labels(evidence, m.adaptive), masks.truth(i, evidence.size)
            found = found_in(seed, evidence, (other.read(i), threshold))
            ious = [iou_of(seed, truth, one.label) for one in found]
            pairs.append((np.mean([one.confidence for one in found]), np.mean(ious)))
        values = np.array(pairs)
        drawn = [values[np.repeat(np.arange(len(values)), w)] for w in sample_weights(len(values))]
        rho = estimated(np.array([spearmanr(*some.T).statistic for some in drawn]))
        means = (*values.mean(0).tolist(), m.mean(m.default)[0])
        rows.append((f"`{name}`", f"`{other.name}`", rho, *(f"{mean:.3f}" for mean in means)))
    head = ("recipe", "agrees with", "Spearman's ρ", "mean confidence", "mean IoU of an image", "mean IoU")
    return table(*rows, head=head)


def iou_of(seed: NDArray[np.uint8], truth: NDArray[np.uint8], label: int) -> float:
    """The IoU of a label in an image, void left out."""
    known = truth != VOID
    here, there = (seed == label) & known, truth == label
    return float((here & there).sum() / max(1, (here | there).sum()))


def main() -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--recipe", action="append", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--val", default="val")
    parser.add_argument("--things", action="store_true", help="the mean leaves the background out")
    arguments = parser.parse_args()
    config, classes = read_config(arguments.run)
    images, masks = open_scored(config.data, arguments.val, classes)
    map_missing(arguments.run, images, set(arguments.recipe))
    measured, megapixels, blind = {}, {}, {}
    ledgers: dict[str, object] = {}
    for name in arguments.recipe:
        shelf = find_shelf(arguments.run, images, name)
        counted = tallies(arguments.run, images, masks, name)
        adaptive = threshold_of(arguments.run, images, shelf, "adaptive")
        measured[name] = Measured(counted, len(classes), int(arguments.things), adaptive)
        cost, agreed = shelf.cost(), threshold_of(arguments.run, images, shelf, "blind").value
        megapixels[name] = cost["megapixels"] if cost else np.nan
        blind[name] = threshold_level(agreed or 0.0)
        ledgers[name] = supervision_of(pretraining_of(arguments.run), shelf.manifest["recipe"], "adaptive")
    first, *_ = measured
    others = {name: m for name, m in measured.items() if name != first}
    pairs = [
        (f"`{name}`", change(measured[first].mean(measured[first].default) - m.mean(m.default)))
        for name, m in others.items()
    ]
    mean = "mean IoU without the background" if arguments.things else "mIoU"
    body = (
        f"{shown(config.data)}, {len(measured[first].images)} images of `{arguments.val}`, "
        f"{sum(any(t.truths > 0) for t in measured[first].images)} of them with a thing: {mean}. The best τ "
        "are chosen on the scored masks: upper bounds. The last is the mean of the IoUs of things in single "
        "images, without background, so another measure.\n\n"
        f"{section(measured, megapixels, blind)}\n\n{seen(ledgers)}\n\nIoU by class, `adaptive`:\n\n"
        f"{class_rows(measured, classes)}\n\n`{first}` minus another, `adaptive`, paired:\n\n"
        f"{table(*pairs, head=('recipe', mean))}\n\nConfidence, from the agreement of two recipes and the "
        "classifier's scores (no mask), beside the truth:\n\n"
        f"{confidence_rows(arguments.run, images, masks, measured)}"
    )
    words = [f"--run {arguments.run} --name {arguments.name} --val {arguments.val}"]
    words += ["--things"] * arguments.things + [f"--recipe {name}" for name in arguments.recipe]
    command = f"python benchmarks/size.py {' '.join(words)}"
    write_section(f"size-{arguments.name}", f"Size: {arguments.name}", command, body)
    print(body)


if __name__ == "__main__":
    main()
