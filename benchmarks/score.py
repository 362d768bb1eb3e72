"""The time of scoring, compared with reading the files and with a loop over thresholds.

    python benchmarks/score.py --run runs/animals --data voc:$BEYONDCAM_DATA/voc2012_animals

Scores `val` of a RUN that has evidence for it, and writes the section `score` of docs/performance.md. Files
are read in the same way and with as many threads as in scoring; the loop's mIoU is checked to be the same.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam import score_split
from beyondcam.classifier import read_config
from beyondcam.data import VOID, LabelledImages, evenly
from beyondcam.data.masks import Masks
from beyondcam.evidence import Evidence, Shelf, shelves, threshold_level, witnessed
from beyondcam.outcome import ahead
from inputs import open_scored
from results import shown, table, write_section
from timing import ratio

THRESHOLDS = np.linspace(0, 1, 100)
TAU = 0.3
"""The threshold of the rule `fixed`, for the recipes and the reference."""


def main() -> None:
    """Measure both ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--recipe", nargs="+", default=["cam", "best"], help="`cam` must come first")
    parser.add_argument("--some", type=int, default=24, help="number of images that the loop is timed on")
    parser.add_argument("--seconds", type=float, default=120, help="the longest one ratio may take")
    arguments = parser.parse_args()
    _, classes = read_config(arguments.run)
    images, masks = open_scored(arguments.data, "val", classes)
    some = replace(images, ids=evenly(images.ids, arguments.some))
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        family = link(arguments.run, run, images, arguments.recipe)
        check(run, some, masks, family)
        reading = ratio(
            lambda: score_split(run, images, masks, threshold=TAU),
            lambda: read(run, images, masks, family),
            seconds=arguments.seconds,
        )
        looping = ratio(
            lambda: loop(some, masks, family),
            lambda: score_split(run, some, masks, threshold=TAU),
            seconds=arguments.seconds,
        )
    rows = (
        (f"score / reading its files, {len(images.ids)} images", reading, reading.judged(at_most=1.5)),
        (
            f"{len(THRESHOLDS)} thresholds in a loop / score, {len(some.ids)} of the images",
            looping,
            looping.judged(at_least=20),
        ),
    )
    body = f"Recipes: {', '.join(arguments.recipe)}.\n\n{table(*rows)}"
    words = " ".join(sys.argv[1:]).replace(arguments.data, shown(arguments.data))
    write_section("score", "Scoring", f"python benchmarks/score.py {words}", body, page="performance")


def link(run: Path, to: Path, images: LabelledImages, recipes: Sequence[str]) -> list[Shelf]:
    """Make a RUN `to` with links to the evidence of these recipes alone; return their shelves."""
    (to / "classifier.safetensors").symlink_to((run / "classifier.safetensors").resolve())
    (to / "evidence" / images.split).mkdir(parents=True)
    by_name = {shelf.name: shelf for shelf in shelves(run, images)}
    for name in recipes:
        folder = by_name[name].folder
        (to / "evidence" / images.split / folder.name).symlink_to(folder.resolve())
    witnesses = Path("evidence", witnessed(images, "labels").split)
    (to / witnesses).symlink_to((run / witnesses).resolve())
    return [by_name[name] for name in recipes]


def read(run: Path, images: LabelledImages, masks: Masks, family: Sequence[Shelf]) -> None:
    """Read the files that scoring reads, including those of the witnesses, and do nothing with them."""
    sample = witnessed(images, "labels")
    witnesses = list(shelves(run, sample))
    for _ in ahead(lambda i: (masks.read(i), [shelf.read(i) for shelf in family]), images.ids):
        pass
    for _ in ahead(lambda i: [shelf.read(i) for shelf in witnesses], sample.ids):
        pass


def loop(
    images: LabelledImages, masks: Masks, family: Sequence[Shelf]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Read each file once; make and count a seed at every threshold.

    Returns mIoU and the number of correct pixels in DR, (recipes, thresholds) each.
    """
    n = len(images.classes) + 1
    confusion = np.zeros((len(family), len(THRESHOLDS), n, n), np.int64)
    right_in_dr = np.zeros((len(family), len(THRESHOLDS)), np.int64)
    for i in images.ids:
        truth = masks.read(i).numpy()
        evidence = [shelf.read(i) for shelf in family]
        dr = (truth > 0) & (truth != VOID) & (seed(evidence[0], TAU) == truth)
        for r, maps in enumerate(evidence):
            for t, threshold in enumerate(THRESHOLDS):
                labels = seed(maps, threshold)
                confusion[r, t] += confusion_of(truth, labels, n)
                right_in_dr[r, t] += (labels == truth)[dr].sum()
    hits = np.einsum("...kk->...k", confusion)
    union = confusion.sum(-1) + confusion.sum(-2) - hits
    return np.nanmean(np.where(union > 0, hits / np.maximum(union, 1), np.nan), -1), right_in_dr


def seed(evidence: Evidence, threshold: float) -> NDArray[np.int64]:
    """The label of the highest map, where background has the threshold everywhere: (H, W)."""
    background = np.full((1, *evidence.size), threshold_level(threshold), np.uint8)
    labels = np.array((0, *(target + 1 for target in evidence.targets)))
    return labels[np.concatenate([background, evidence.levels]).argmax(0)]


def confusion_of(truth: NDArray[np.uint8], labels: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """The confusion matrix of one seed: (n, n)."""
    counted = truth < n
    return np.bincount(n * truth[counted].astype(int) + labels[counted], minlength=n**2).reshape(n, n)


def check(run: Path, images: LabelledImages, masks: Masks, family: Sequence[Shelf]) -> None:
    """Raise an error if the loop and the scores do not agree."""
    scores = score_split(run, images, masks)
    levels = [threshold_level(threshold) for threshold in THRESHOLDS]
    by_score = [np.array(scores.curve(shelf.name).miou)[levels] for shelf in family]
    np.testing.assert_allclose(loop(images, masks, family)[0], by_score)


if __name__ == "__main__":
    main()
