"""The whole job on the embedded digits, in one go."""

from pathlib import Path

from beyondcam.classifier import digits_config, load_classifier, train_run
from beyondcam.data import open_images
from beyondcam.data.masks import open_masks
from beyondcam.devices import start, to_device
from beyondcam.evidence import find_shelf, map_split, map_witnesses
from beyondcam.metrics import (
    ThresholdSplit,
    read_segments,
    score_split,
    second_opinion,
    threshold_of,
    write_scores,
)
from beyondcam.metrics.table import print_segments, print_table
from beyondcam.progress import Log
from beyondcam.recipes import Cookbook
from beyondcam.report import write_report
from beyondcam.seeds import write_seeds
from beyondcam.segment import EvaluationSplit, labels_of_masks, labels_of_seeds, segment_run
from beyondcam.segmentation import digits_segment_config

RECIPES = (
    "cam", "cam-ms", "crops-cam", "saliency", "saliency+smooth", "smoothgrad+smooth", "binarymask+smooth",
    "crops", "crops+smooth", "best", "fast",
)  # fmt: skip
SEEDED = "best"
TRAIN, VAL = "train_100", "val_100"
TAUGHT, TEACHER = "train_2000", "fast"
"""What segmentation networks are trained on, and the recipe of its seeds."""


def run_demo(out: Path, seed: int, log: Log, *, full: bool = False) -> dict[str, str]:
    """Train, map, score, seed and report; returns the images left out.

    There are none, but for labelled ones whose seed is empty, which the network of seeds cannot learn from.
    `full` closes the loop: a segmentation network trained on seeds, beside one trained on the masks.
    """
    fabric = start()
    left_out = train_run(digits_config(seed=seed), out, fabric, log)
    classifier = to_device(load_classifier(out), fabric)
    cookbook = Cookbook()
    recipes = {name: cookbook.recipe(name) for name in RECIPES}
    train, val = open_images("digits", TRAIN), open_images("digits", VAL)
    for images in (train, val):
        left_out |= map_split(classifier, images, recipes, out, seed=seed)
    left_out |= map_witnesses(classifier, val, out)
    masks, train_masks = open_masks("digits", VAL), open_masks("digits", TRAIN)
    assert masks is not None
    assert train_masks is not None
    scores = score_split(out, val, masks, threshold_split=ThresholdSplit(train, train_masks))
    write_scores(out, val, scores)
    shelf = find_shelf(out, val, SEEDED)
    threshold, second = threshold_of(out, val, shelf, "adaptive"), second_opinion(out, val, shelf)
    left_out |= write_seeds(val, shelf, threshold, out / "seeds", second=second).left_out
    print_table(scores.rows)
    if full:
        taught, taught_masks = open_images("digits", TAUGHT), open_masks("digits", TAUGHT)
        assert taught_masks is not None
        recipes = {TEACHER: cookbook.recipe(TEACHER)}
        left_out |= map_split(classifier, taught, recipes, out, seed=seed, workers=None)
        left_out |= map_witnesses(classifier, taught, out)
        config, evaluation = digits_segment_config(seed=seed), EvaluationSplit(val, masks)
        for source in (
            labels_of_seeds(out, taught, find_shelf(out, taught, TEACHER)),
            labels_of_masks(taught, taught_masks),
        ):
            left_out |= segment_run(out, source, config, evaluation, fabric, log=log)
        print_segments(out, read_segments(out))
    log(f"seeds: {out / 'seeds'}")
    log(f"report: {write_report(out).resolve()}")
    return left_out | scores.left_out
