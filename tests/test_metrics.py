"""Metrics: a 4 × 4 example worked out by hand, and every threshold against one that re-reads each pixel."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.metrics import confusion_matrix

from beyondcam.data import open_images
from beyondcam.data.masks import open_masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import (
    LEVELS,
    WITNESSES,
    Evidence,
    Shelf,
    Winners,
    level_threshold,
    store,
    winners_of,
    witnessed,
)
from beyondcam.evidence.store import write_evidence
from beyondcam.metrics import threshold_of
from beyondcam.metrics.bootstrap import RESAMPLES, interval, sample_weights
from beyondcam.metrics.regions import joint_levels, recall_curve, region_levels, regions, right_levels
from beyondcam.metrics.rows import Absent, ChosenOn, CostPerImage, Row, Scores
from beyondcam.metrics.score import Training, score_split
from beyondcam.metrics.tally import ImageTally, Sweep, iou, mean_iou
from beyondcam.recipes import Cookbook, Cost
from beyondcam.seeds import seed_labels
from conftest import complaint, shelf_for

VOID = 255

# The example: cat is 1, dog is 2. Nine pixels of foreground, five of background, two void.
TRUTH = np.array(
    [
        [0, 0, 1, 1],
        [0, 1, 1, 1],
        [0, 2, 2, VOID],
        [2, 2, 0, VOID],
    ],
    np.uint8,
)
# The reference is right on four of the nine, the DR: three of cat in the corner, one of dog.
REFERENCE = np.array(
    [
        [0, 0, 1, 1],
        [0, 0, 0, 1],
        [0, 2, 0, 1],
        [0, 0, 0, 0],
    ],
    np.uint8,
)
# The seed is right on three of these four, and on two of the other five; eight of its pixels that are
# not void are foreground.
SEED = np.array(
    [
        [1, 0, 1, 1],
        [0, 1, 2, 0],
        [0, 2, 1, 2],
        [2, 0, 0, 0],
    ],
    np.uint8,
)
IOU = {"background": 4 / 7, "cat": 3 / 7, "dog": 2 / 5}
MIOU = 7 / 15
DR_RECALL, NDR_RECALL, FG_PRECISION = 3 / 4, 2 / 5, 5 / 8


def winners(seed: np.ndarray, high: int = 200, low: int = 40) -> Winners:
    """Winners whose seed is `seed` at levels from `low` to below `high`; cat wins where it is background."""
    return Winners(
        np.where(seed > 0, seed, 1).astype(np.uint8), np.where(seed > 0, high, low).astype(np.uint8)
    )


def joint_of(mine: Winners, reference: Winners, truth: np.ndarray) -> np.ndarray:
    """Foreground pixels by both right levels."""
    return joint_levels(right_levels(mine, truth), right_levels(reference, truth))


def region_metrics(mine: Winners, reference: Winners, truth: np.ndarray, level: int, reference_level: int):
    """DR-Recall, NDR-Recall and FG-Precision of one image, by the package's counts."""
    inside = region_levels(joint_of(mine, reference, truth), reference_level)
    counts = ImageTally.of(mine, truth).at(level, 2)
    right, predicted, foreground = counts[:, 1:].sum(1)
    found = regions(inside[level + 1 :].sum(), inside.sum(), right, foreground, predicted)
    return tuple(float(value) for value in found)


# The example by hand


def test_example_by_hand_gives_intersection_predicted_and_true_pixels() -> None:
    counts = ImageTally.of(winners(SEED), TRUTH).at(100, 2)
    assert counts.tolist() == [[4, 3, 2], [6, 5, 3], [5, 5, 4]]


def test_example_by_hand_gives_iou_and_its_mean() -> None:
    sweep = Sweep.of([ImageTally.of(winners(SEED), TRUTH)], 2)
    by_class = iou(sweep.intersection[:, 100], sweep.predicted[:, 100], sweep.true)
    assert np.allclose(by_class, list(IOU.values()), atol=1e-12)
    assert sweep.miou()[100] == pytest.approx(MIOU)


def test_example_by_hand_gives_the_region_metrics() -> None:
    found = region_metrics(winners(SEED), winners(REFERENCE), TRUTH, 100, 100)
    assert found == pytest.approx((DR_RECALL, NDR_RECALL, FG_PRECISION))


def test_example_at_other_levels_is_all_foreground_or_all_background() -> None:
    everything = region_metrics(winners(SEED), winners(REFERENCE), TRUTH, 39, 100)
    # wherever the seed was background cat wins now: (1, 3) in the DR comes to be right, (3, 1) is dog
    assert everything == pytest.approx((4 / 4, 2 / 5, 6 / 14))
    nothing = region_metrics(winners(SEED), winners(REFERENCE), TRUTH, 200, 100)
    assert nothing[:2] == (0, 0)
    assert np.isnan(nothing[2])


def test_reference_against_itself_has_dr_recall_one_and_ndr_recall_nought() -> None:
    rng = np.random.default_rng(3)
    truth = rng.choice(np.array([0, 1, 2, VOID], np.uint8), (20, 30))
    own = Winners(rng.integers(1, 3, (20, 30), np.uint8), rng.integers(0, 256, (20, 30), np.uint8))
    for level in (0, 17, 100, 200):
        found = region_metrics(own, own, truth, level, level)
        assert found[:2] == (1, 0)
        assert 0.2 < found[2] < 0.6  # a third of the labels are right by chance, void left out


def test_all_foreground_seed_scores_high_on_both_recalls_and_low_on_precision() -> None:
    truth = np.zeros((10, 10), np.uint8)
    truth[:3, :4] = 1
    reference = winners(np.where(np.arange(10) < 2, truth, 0).astype(np.uint8))
    everywhere = winners(np.ones((10, 10), np.uint8))
    assert region_metrics(everywhere, reference, truth, 100, 100) == pytest.approx((1, 1, 0.12))


def test_void_pixels_count_nowhere() -> None:
    """Whatever a recipe or the reference says on void pixels, no count changes."""
    rng = np.random.default_rng(1)
    truth = rng.choice(np.array([0, 1, 2, VOID], np.uint8), (9, 9))
    void = truth == VOID
    pair = [
        Winners(rng.integers(1, 3, (9, 9), np.uint8), rng.integers(0, 256, (9, 9), np.uint8)) for _ in "ab"
    ]
    other = [
        Winners(np.where(void, 3 - w.labels, w.labels), np.where(void, 255 - w.levels, w.levels))
        for w in pair
    ]
    assert void.any()
    for level in (20, 128):
        a, b = (ImageTally.of(p[0], truth).at(level, 2) for p in (pair, other))
        assert np.array_equal(a, b)
        assert a[2].sum() == (~void).sum() == a[1].sum()
        a, b = (region_levels(joint_of(*p, truth), level) for p in (pair, other))
        assert np.array_equal(a, b)
    assert np.array_equal(*(joint_of(*p, truth) for p in (pair, other)))


# Every threshold


def winner_by_pixel(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Label and level of each pixel, one at a time: the most evidence, ties to the lower class."""
    height, width = evidence.levels.shape[1:]
    labels, levels = np.zeros((height, width), int), np.zeros((height, width), int)
    for y in range(height):
        for x in range(width):
            ranked = [(-int(evidence.levels[k, y, x]), t) for k, t in enumerate(evidence.targets)]
            if ranked:
                level, target = min(ranked)
                labels[y, x], levels[y, x] = target + 1, -level
    return labels, levels


def by_confusion(images: list[tuple[Evidence, np.ndarray]], level: int, classes: int) -> np.ndarray:
    """The confusion matrix of all pixels that are not void, from seeds made anew at one level."""
    total = np.zeros((classes + 1, classes + 1), int)
    for evidence, truth in images:
        labels, levels = winner_by_pixel(evidence)
        seed = np.where(levels > level, labels, 0)
        scored = truth != VOID
        if scored.any():
            total += confusion_matrix(truth[scored], seed[scored], labels=range(classes + 1))
    return total


def assert_sweep_is_by_pixel(images: list[tuple[Evidence, np.ndarray]], classes: int, levels) -> None:
    tallies = [ImageTally.of(winners_of(evidence), truth) for evidence, truth in images]
    sweep = Sweep.of(tallies, classes)
    mean = sweep.miou()
    for level in levels:
        matrix = by_confusion(images, level, classes)
        hits, predicted, true = np.diag(matrix), matrix.sum(0), matrix.sum(1)
        assert np.array_equal(sweep.intersection[:, level], hits)
        assert np.array_equal(sweep.predicted[:, level], predicted)
        assert np.array_equal(sweep.true, true)
        union = true + predicted - hits
        shares = [h / u for h, u in zip(hits, union, strict=True) if u]
        assert mean[level] == pytest.approx(sum(shares) / max(len(shares), 1))
        summed = sum(tally.at(level, classes) for tally in tallies)
        assert np.array_equal(summed, [hits, predicted, true])


@st.composite
def evidence_and_truth(draw: st.DrawFn, classes: int, values: list[int]) -> tuple[Evidence, np.ndarray]:
    """A small image with some of the classes as targets, and any labels, void among them, in its truth."""
    height, width = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    targets = tuple(draw(st.lists(st.integers(0, classes - 1), unique=True, max_size=classes)))
    count = len(targets) * height * width
    levels = draw(st.lists(st.sampled_from(values), min_size=count, max_size=count))
    truth = draw(
        st.lists(
            st.sampled_from([*range(classes + 1), VOID]), min_size=height * width, max_size=height * width
        )
    )
    numbers = (0.0,) * len(targets)
    return (
        Evidence(
            np.array(levels, np.uint8).reshape(-1, height, width), targets, numbers, numbers, (height, width)
        ),
        np.array(truth, np.uint8).reshape(height, width),
    )


@settings(max_examples=40, deadline=None, derandomize=True)
@given(data=st.data(), classes=st.integers(1, 4))
def test_sweep_is_what_thresholding_pixel_by_pixel_gives(data: st.DataObject, classes: int) -> None:
    values = [0, 1, 90, 91, 254, 255]
    images = data.draw(st.lists(evidence_and_truth(classes, values), min_size=1, max_size=3))
    assert_sweep_is_by_pixel(images, classes, [0, 1, 2, 89, 90, 91, 253, 254, 255])


def test_sweep_is_what_thresholding_pixel_by_pixel_gives_at_every_level() -> None:
    rng = np.random.default_rng(0)
    images = []
    for targets in ((2, 0), (), (1,)):
        levels = rng.integers(0, 256, (len(targets), 12, 15), np.uint8)
        truth = rng.choice(np.array([0, 1, 2, 3, VOID], np.uint8), (12, 15))
        images.append((Evidence(levels, targets, (), (), (12, 15)), truth))
    assert_sweep_is_by_pixel(images, 4, range(LEVELS))  # the fourth class is nowhere


def test_best_level_is_the_lowest_of_the_best() -> None:
    truth = np.array([[1, 1, 0, 0]], np.uint8)
    own = Winners(np.ones((1, 4), np.uint8), np.array([[200, 150, 90, 10]], np.uint8))
    sweep = Sweep.of([ImageTally.of(own, truth)], 1)
    assert np.flatnonzero(sweep.miou() == 1).tolist() == list(range(90, 150))
    assert sweep.best_level() == 90


@settings(max_examples=30, deadline=None, derandomize=True)
@given(data=st.data())
def test_recall_curve_is_what_a_loop_over_pixels_gives(data: st.DataObject) -> None:
    pixels = st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([0, 1, 2, VOID]))
    levels = st.sampled_from([0, 1, 60, 61, 255])
    drawn = data.draw(st.lists(st.tuples(pixels, levels, levels), min_size=1, max_size=25))
    level = data.draw(st.sampled_from([0, 59, 60, 61]))
    mine = Winners(
        *(np.array([column], np.uint8) for column in ([p[0] for p, *_ in drawn], [a for _, a, _ in drawn]))
    )
    other = Winners(
        *(np.array([column], np.uint8) for column in ([p[1] for p, *_ in drawn], [b for *_, b in drawn]))
    )
    truth = np.array([[p[2] for p, *_ in drawn]], np.uint8)
    curves = recall_curve(joint_of(mine, other, truth), level)
    for reference_level in (0, 1, 59, 60, 61, 254, 255):
        region = {True: [0, 0], False: [0, 0]}  # in the DR or not: right pixels, pixels
        for (m, r, t), own, its in drawn:
            if t in (0, VOID):
                continue
            counts = region[r == t and its > reference_level]
            counts[0] += m == t and own > level
            counts[1] += 1
        for curve, (right, size) in zip(curves, (region[True], region[False]), strict=True):
            expected = right / size if size else np.nan
            assert np.isclose(curve[reference_level], expected, equal_nan=True)


def test_recall_curve_passes_through_the_region_metrics_of_the_example() -> None:
    dr, ndr = recall_curve(joint_of(winners(SEED), winners(REFERENCE), TRUTH), 100)
    assert (dr[100], ndr[100]) == pytest.approx((DR_RECALL, NDR_RECALL))
    assert np.isnan(dr[200])  # nothing is discriminative at a threshold that the reference never passes
    assert ndr[200] == pytest.approx(5 / 9)


# Customs for absent classes


def test_absent_class_counts_by_the_custom_asked_for() -> None:
    """Background 1/2 and cat 1/4; dog is predicted though absent; sheep is nowhere."""
    intersection, predicted, true = np.array([2, 1, 0, 0]), np.array([2, 3, 3, 0]), np.array([4, 2, 0, 0])
    by_class = iou(intersection, predicted, true)
    assert np.allclose(by_class, [1 / 2, 1 / 4, 0, np.nan], equal_nan=True)
    assert mean_iou(by_class, true, "auto") == pytest.approx((1 / 2 + 1 / 4 + 0) / 3)
    assert mean_iou(by_class, true, "drop") == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert mean_iou(by_class, true, "zero") == pytest.approx((1 / 2 + 1 / 4) / 4)


def test_mean_iou_is_of_the_data_set_not_of_the_images() -> None:
    """One image is right on 1 of 1 pixel of cat, the other on 1 of 9: together 2 of 10, on average 5/9."""
    first = ImageTally.of(winners(np.array([[1, 0]], np.uint8)), np.array([[1, 0]], np.uint8))
    half = np.array([[1] * 9 + [0]], np.uint8)
    second = ImageTally.of(winners(np.array([[1] + [0] * 9], np.uint8)), half)
    sweep = Sweep.of([first, second], 1)
    # background: 1 + 1 right; 1 + 9 predicted and 1 + 1 true make a union of 10
    assert sweep.miou()[100] == pytest.approx((2 / 10 + 2 / 10) / 2)


# Bootstrap


def test_the_full_sample_comes_first_and_each_resample_draws_as_many_images() -> None:
    full, *drawn = sample_weights(37)
    assert (full == 1).all()
    weights = np.stack(drawn)
    assert weights.shape == (RESAMPLES, 37)
    assert (weights.sum(1) == 37).all()
    assert weights.min() == 0
    share = (weights == 0).mean()  # of the images left out of a resample: (1 − 1/n)^n
    assert share == pytest.approx((1 - 1 / 37) ** 37, abs=0.01)
    assert np.array_equal(weights, sample_weights(37)[1:])


def test_interval_is_the_middle_95_per_cent_of_what_has_a_value() -> None:
    samples = np.concatenate([np.arange(1001.0), [np.nan, np.inf]])
    assert interval(samples[np.random.default_rng(0).permutation(len(samples))]) == pytest.approx((25, 975))
    assert interval(np.array([np.nan, np.nan])) is None


def test_interval_covers_the_true_value_about_19_times_in_20() -> None:
    """A share of pixels over images of uneven size, drawn 400 times from a population where it is 0.3."""
    rng = np.random.default_rng(0)
    weights = sample_weights(80)[1:]
    covered = 0
    for _ in range(400):
        sizes = rng.integers(20, 200, 80)
        right = rng.binomial(sizes, rng.beta(3, 7, 80))
        low, high = interval((weights @ right) / (weights @ sizes))
        covered += low <= 0.3 <= high
    assert 0.91 <= covered / 400 <= 0.98


# A whole split, from files

CLASSES = ("cat", "dog")


class Place:
    """A `folder:` of 4 × 4 images and a RUN with a checkpoint that is none."""

    def __init__(self, root: Path, ids: tuple[str, ...], truth: np.ndarray = TRUTH) -> None:
        self.root, self.run, self.ids = root, root / "run", ids
        for name in ("images", "masks", "run"):
            (root / name).mkdir(parents=True)
        for i in ids:
            Image.new("RGB", (4, 4)).save(root / f"images/{i}.png")
            Image.fromarray(truth).save(root / f"masks/{i}.png")
        rows = "".join(f"{i},cat;dog\n" for i in ids)
        (root / "labels.csv").write_text(f"image,labels\n{rows}")
        (self.run / "classifier.safetensors").write_bytes(b"not read, only hashed")
        self.data = f"folder:{root}"

    def shelf(self, name: str, split: str = "all", *, recipe: str | None = None, seed: int = 0) -> Shelf:
        return shelf_for(self.run, open_images(self.data, split), name, recipe=recipe, seed=seed)

    def put(
        self, name: str, own: Winners, split: str = "all", *, only=None, recipe=None, seed: int = 0
    ) -> Shelf:
        """Write the evidence of a recipe, the same for every image, or for those in `only`."""
        shelf = self.shelf(name, split, recipe=recipe, seed=seed)
        levels = np.stack([np.where(own.labels == k, own.levels, 0) for k in (2, 1)]).astype(np.uint8)
        for i in self.ids if only is None else only:
            if i in open_images(self.data, split).ids:
                write_evidence(shelf, i, Evidence(levels, (1, 0), (1.0, 1.0), (0.5, 0.5), (4, 4)))
        return shelf

    def agree(self, own: Winners, split: str = "all") -> None:
        """Have both witnesses say the same of every image."""
        asked = witnessed(open_images(self.data, split), "labels")
        levels = np.stack([np.where(own.labels == k, own.levels, 0) for k in (1, 2)]).astype(np.uint8)
        for name in WITNESSES:
            shelf = shelf_for(self.run, asked, name)
            for i in asked.ids:
                write_evidence(shelf, i, Evidence(levels, (0, 1), (1.0, 1.0), (0.5, 0.5), (4, 4)))

    def score(self, split: str = "all", **options) -> Scores:
        return score_split(self.run, open_images(self.data, split), open_masks(self.data, split), **options)


def row(scores: Scores, recipe: str, rule: str) -> Row:
    return scores.row(recipe, rule)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path, ("a", "b", "c"))


LEVEL_100 = level_threshold(100)


def test_score_of_files_is_the_example_by_hand(place: Place) -> None:
    place.put("cam", winners(REFERENCE))
    place.put("crops", winners(SEED)).add_cost(3, Cost(30, 60, 9.0, 1.5))
    scores = place.score(threshold=LEVEL_100)
    found = row(scores, "crops", "fixed")
    assert found.iou == pytest.approx(IOU)
    metrics = [found.metrics[m] for m in ("miou", "dr_recall", "ndr_recall", "fg_precision")]
    assert metrics == pytest.approx([MIOU, DR_RECALL, NDR_RECALL, FG_PRECISION])
    assert found.threshold == found.reference_threshold == pytest.approx(LEVEL_100)
    assert (found.images, found.split, found.targets, found.seed) == (3, "all", "labels", 0)
    assert found.recipe_hash == Cookbook().recipe("crops").hash
    assert found.data == place.data
    assert found.cost == CostPerImage(forward=10, backward=20, megapixels=3.0, seconds=0.5)
    # three equal images: every resample is the data set itself
    for metric, value in zip(("miou", "dr_recall", "ndr_recall", "fg_precision"), metrics, strict=True):
        assert found.ci[metric] == pytest.approx((value, value))
    own = row(scores, "cam", "fixed")
    assert (own.metrics["dr_recall"], own.metrics["ndr_recall"]) == (1, 0)
    assert own.metrics["fg_precision"] == pytest.approx(4 / 4)
    assert not scores.left_out


def test_score_counts_pixels_over_the_data_set_before_it_divides(tmp_path: Path) -> None:
    place = Place(tmp_path, ("a", "b"))
    place.put("cam", winners(REFERENCE))
    place.put("crops", winners(SEED), only=("a",))
    place.put("crops", winners(np.zeros((4, 4), np.uint8)), only=("b",))
    found = row(place.score(threshold=LEVEL_100), "crops", "fixed")
    assert found.metrics["dr_recall"] == pytest.approx(3 / 8)
    assert found.metrics["ndr_recall"] == pytest.approx(2 / 10)
    assert found.metrics["fg_precision"] == pytest.approx(5 / 8)  # not a mean over images
    # background: 4 + 5 right of 6 + 14 predicted and 10 true
    assert found.iou == pytest.approx({"background": 9 / 21, "cat": 3 / 12, "dog": 2 / 9})
    low, high = found.ci["dr_recall"]
    assert low == 0
    assert high == pytest.approx(6 / 8)


def test_score_agrees_with_the_seeds_that_are_written(place: Place) -> None:
    place.put("cam", winners(REFERENCE))
    shelf = place.put("crops", winners(SEED))
    seed = seed_labels(shelf.read("a"), LEVEL_100)
    assert np.array_equal(seed, SEED)
    ours, theirs = (labels[TRUTH != VOID] for labels in (seed, TRUTH))
    by_hand = [((ours == k) & (theirs == k)).sum() / ((ours == k) | (theirs == k)).sum() for k in range(3)]
    found = row(place.score(threshold=LEVEL_100), "crops", "fixed")
    assert list(found.iou.values()) == pytest.approx(by_hand)


def test_fixed_rule_takes_the_reference_at_a_threshold_of_its_own(place: Place) -> None:
    place.put("cam", winners(REFERENCE, high=90))
    place.put("crops", winners(SEED))
    same = row(place.score(threshold=LEVEL_100), "crops", "fixed")
    assert same.metrics["dr_recall"] is None  # at level 100 the reference finds nothing
    assert same.metrics["ndr_recall"] == pytest.approx(5 / 9)
    own = row(place.score(threshold=LEVEL_100, reference_threshold=level_threshold(60)), "crops", "fixed")
    assert (own.metrics["dr_recall"], own.metrics["ndr_recall"]) == pytest.approx((DR_RECALL, NDR_RECALL))
    assert own.threshold == pytest.approx(LEVEL_100)
    assert own.reference_threshold == pytest.approx(level_threshold(60))


def test_rules_are_found_on_their_own_splits_and_never_mixed(tmp_path: Path) -> None:
    """What the masks say is right stands at level 180; what is wrong, at 70 in train and at 120 in val.

    The witnesses, who are right, are heard on val alone.
    """
    place = Place(tmp_path, tuple(f"n{n}" for n in range(20)))
    truth = np.where(TRUTH == VOID, 0, TRUTH)
    place.agree(winners(truth), "val")
    train, val = (open_images(place.data, split) for split in ("train", "val"))
    assert train.ids
    assert val.ids
    place.put("cam", winners(truth, high=180, low=70), "train")
    place.put("cam", winners(truth, high=150, low=30), "val")
    place.put("saliency", winners(truth, high=180, low=70), "train")
    place.put("saliency", winners(truth, high=180, low=120), "val")
    place.put("crops", winners(truth, high=180, low=120), "val")
    odd, *_ = train.ids
    place.put("saliency", winners(truth, high=180, low=50), "train", only=(odd,))
    place.put("cam", winners(truth, high=180, low=60), "train", only=(odd,))
    training = Training(train, open_masks(place.data, "train"), few=(odd,))
    scores = place.score("val", training=training, threshold=level_threshold(20))

    def thresholds(recipe: str) -> dict[str, tuple[float, float]]:
        return {
            r.threshold_rule: (r.threshold, r.reference_threshold) for r in scores.rows if r.recipe == recipe
        }

    def levels(own: int, reference: int) -> tuple[float, float]:
        return pytest.approx((level_threshold(own), level_threshold(reference)))

    assert thresholds("saliency") == {
        "fixed": levels(20, 20), "blind": levels(120, 30), "few": levels(50, 60), "train": levels(70, 70),
        "oracle": levels(120, 30),
    }  # fmt: skip
    assert thresholds("crops") == {  # not mapped in train
        "fixed": levels(20, 20), "blind": levels(120, 30), "oracle": levels(120, 30)
    }  # fmt: skip
    assert row(scores, "saliency", "oracle").miou == pytest.approx(1)
    # at level 70 all that is background is cat: cat 5 of 10, dog 4 of 4, background none
    assert row(scores, "saliency", "train").miou == pytest.approx((5 / 10 + 1 + 0) / 3)
    assert row(scores, "saliency", "train").split == "val"
    assert row(scores, "saliency", "train").chosen_on == ChosenOn(split="train")
    assert row(scores, "saliency", "few").chosen_on == ChosenOn(split="train", images=(odd,))
    assert all(row(scores, "saliency", rule).chosen_on is None for rule in ("fixed", "blind", "oracle"))
    assert {c.threshold_rule for c in scores.comparisons} == {"fixed", "blind", "few", "train", "oracle"}
    assert len(scores.comparisons) == 3 + 3 + 1 + 1 + 3


def test_an_image_that_is_none_of_the_training_split_is_not_among_the_few(place: Place) -> None:
    images, masks = open_images(place.data, "all"), open_masks(place.data, "all")
    assert masks is not None
    complaint(lambda: Training(images, masks, few=("a", "z")), "--few z", "all")


def test_masks_without_an_object_choose_no_threshold(tmp_path: Path) -> None:
    place = Place(tmp_path, tuple(f"n{n}" for n in range(20)))
    train, val = (open_images(place.data, split) for split in ("train", "val"))
    for images in (train, val):
        place.put("cam", winners(REFERENCE), images.split)

    def rules(few: str) -> tuple[set[str], dict[str, str]]:
        scores = place.score("val", training=Training(train, open_masks(place.data, "train"), few=(few,)))
        return {found.threshold_rule for found in scores.rows}, scores.left_out

    empty, other, *_ = train.ids
    Image.new("L", (4, 4)).save(tmp_path / f"masks/{empty}.png")
    assert rules(other) == ({"train", "few", "oracle"}, {})
    assert rules(empty) == ({"train", "oracle"}, {"rule few": "no object in its masks of --split train"})
    for i in train.ids:
        Image.new("L", (4, 4)).save(tmp_path / f"masks/{i}.png")
    assert rules(empty)[0] == {"oracle"}
    assert rules(empty)[1].keys() == {"rule train", "rule few"}


@pytest.mark.parametrize("value", [math.nan, -0.1, 1.5])
def test_a_threshold_that_is_none_is_one_line(place: Place, value: float) -> None:
    place.put("cam", winners(REFERENCE))
    complaint(lambda: place.score(threshold=value), f"--threshold {value}")
    complaint(lambda: place.score(threshold=0.5, reference_threshold=value), f"--reference-threshold {value}")


class Reads(Counter[str]):
    """Counts how often each file is opened while it is read from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__()
        for module, name in ((Image, "open"), (store, "_open")):
            monkeypatch.setattr(module, name, self.counting(getattr(module, name)))

    def counting(self, opened: Callable[..., Image.Image]) -> Callable[..., Image.Image]:
        def count(path: Path, *rest, **named) -> Image.Image:
            self[f"{path.parent.name}/{path.name}"] += 1
            return opened(path, *rest, **named)

        return count


@pytest.mark.parametrize("kept", [2**28, 0])
def test_score_reads_each_file_once_but_the_reference_s_twice_where_they_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    place = Place(tmp_path, tuple(f"n{n}" for n in range(20)))
    for split in ("train", "val"):
        place.put("cam", winners(REFERENCE), split)
        place.put("crops", winners(SEED), split)
        place.put("saliency", winners(SEED), split)
    train, val = (open_images(place.data, split) for split in ("train", "val"))
    training = Training(train, open_masks(place.data, "train"))
    place.agree(winners(SEED), "val")
    expected = place.score("val", training=training)
    assert {row.threshold_rule for row in expected.rows} == {"blind", "train", "oracle"}
    for module in ("score", "consensus"):
        monkeypatch.setattr(f"beyondcam.metrics.{module}.KEPT", kept)
    reads = Reads(monkeypatch)
    assert place.score("val", training=training) == expected
    folders = ("masks", place.shelf("cam", "val").folder.name)
    twice = set() if kept else {f"{folder}/{i}.png" for folder in folders for i in val.ids}
    own = {file: count for file, count in reads.items() if not file.startswith("witness")}
    assert len(own) == 4 * 20  # masks and three recipes
    assert {file for file, count in own.items() if count == 2} == twice
    assert max(own.values()) <= 2
    assert {reads[file] for file in reads.keys() - own} == {1 if kept else 3}  # else again, whenever asked


def test_where_no_recipe_has_all_images_each_is_named_and_none_scored(tmp_path: Path) -> None:
    place = Place(tmp_path, ("a", "b"))
    place.put("cam", winners(REFERENCE), only=("a",))
    place.put("crops", winners(SEED), only=("b",))
    scores = place.score()
    assert scores.rows == []
    assert scores.left_out.keys() == {"recipe cam", "recipe crops"}


def test_evidence_that_is_not_begun_with_stops_no_score(place: Place) -> None:
    """As where `map --seed 1` was killed at once; nor is what one family lacks left out of another."""
    place.put("cam", winners(REFERENCE))
    place.put("crops", winners(SEED), seed=1, only=())
    place.put("saliency", winners(SEED), seed=2, only=("a",))
    place.agree(winners(SEED))
    shelf, images = place.shelf("cam"), open_images(place.data, "all")
    scores = place.score()
    assert {row.recipe for row in scores.rows} == {"cam", "saliency"}
    assert scores.left_out.keys() == {"recipe crops", "b", "c"}
    assert row(scores, "cam", "blind").threshold == threshold_of(place.run, shelf, images, "blind")


def test_rule_blind_sees_images_without_a_mask_as_seeds_do(place: Place) -> None:
    shelf = place.put("cam", winners(REFERENCE), only=("a", "b"))
    slope = np.arange(0, 256, 16, dtype=np.uint8).reshape(4, 4)
    place.put("cam", Winners(np.ones_like(slope), slope), only=("c",))
    images = open_images(place.data, "all")
    (place.root / "masks" / "c.png").unlink()
    place.agree(winners(SEED))
    scores = place.score()
    assert scores.left_out.keys() == {"c"}
    assert row(scores, "cam", "blind").threshold == threshold_of(place.run, shelf, images, "blind")
    by_all = threshold_of(place.run, shelf, images, "blind")
    assert by_all != threshold_of(place.run, shelf, replace(images, ids=("a", "b")), "blind")


def test_a_spoilt_witness_costs_a_score_the_rule_blind_alone(place: Place) -> None:
    place.put("cam", winners(REFERENCE))
    place.agree(winners(SEED))
    (spoilt, *_) = (place.run / "evidence" / "all-witnesses").glob("*/b.png")
    spoilt.write_bytes(b"")
    scores = place.score()
    assert {r.threshold_rule for r in scores.rows} == {"oracle"}
    assert str(spoilt) in scores.left_out["rule blind"]


def test_rules_are_there_only_where_they_can_be_answered(place: Place) -> None:
    place.put("cam", winners(REFERENCE))
    assert {r.threshold_rule for r in place.score().rows} == {"oracle"}
    place.agree(winners(SEED))
    assert {r.threshold_rule for r in place.score().rows} == {"blind", "oracle"}
    assert row(place.score(threshold=0.0), "cam", "fixed").threshold == 0


@pytest.mark.parametrize(("absent", "best"), [("auto", 0.775), ("drop", 0.9375), ("zero", 0.625)])
def test_oracle_is_the_best_threshold_under_the_custom_that_scores(
    tmp_path: Path, absent: Absent, best: float
) -> None:
    """Dog is in no mask. At level 90 six pixels of eight are found; below 80 all, and one of dog, wrongly.

    At 90: cat 6 of 8, background 8 of 10. At 20: cat 8 of 8, background 7 of 8, dog 0.
    """
    truth = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]], np.uint8)
    place = Place(tmp_path, ("a", "b"), truth)
    labels, levels = np.ones((4, 4), np.uint8), np.full((4, 4), 20, np.uint8)
    levels[0], levels[1] = 200, (200, 200, 80, 80)
    labels[3, 3], levels[3, 3] = 2, 90
    place.put("cam", Winners(labels, levels))
    found = row(place.score(absent=absent), "cam", "oracle")
    assert found.miou == pytest.approx(best)
    assert found.threshold == pytest.approx(level_threshold(90 if absent == "auto" else 20))


def test_curves_are_the_sweep_and_the_recalls_at_the_oracle_level(place: Place) -> None:
    place.put("cam", winners(REFERENCE))
    shelf = place.put("crops", winners(SEED))
    scores = place.score()
    curve = scores.curves[shelf.folder.name]
    assert curve.miou[100] == pytest.approx(MIOU)
    assert curve.threshold[100] == pytest.approx(LEVEL_100)
    assert level_threshold(curve.levels["oracle"]) == row(scores, "crops", "oracle").threshold
    reference_level = curve.reference_levels["oracle"]
    oracle = row(scores, "crops", "oracle").metrics
    assert curve.dr_recall[reference_level] == pytest.approx(oracle["dr_recall"])
    assert curve.ndr_recall[reference_level] == pytest.approx(oracle["ndr_recall"])
    assert curve.dr_recall[255] is None


def test_recipe_compared_with_itself_differs_by_exactly_nothing(tmp_path: Path) -> None:
    place = Place(tmp_path, ("a", "b", "c"))
    place.put("cam", winners(REFERENCE))
    for name in ("crops", "again"):
        place.put(name, winners(SEED), only=("a", "c"), recipe="crops")
        place.put(name, winners(REFERENCE, low=150), only=("b",), recipe="crops")
    scores = place.score(threshold=LEVEL_100)
    pairs = [c for c in scores.comparisons if {c.a, c.b} == {"crops", "again"}]
    assert len(pairs) == 2  # fixed and oracle
    for pair in pairs:
        assert set(pair.difference) == {"miou", "dr_recall", "ndr_recall", "fg_precision"}
        assert set(pair.difference.values()) == {0}
        assert set(pair.ci.values()) == {(0, 0)}


def test_comparison_is_of_b_less_a_over_the_same_resamples(tmp_path: Path) -> None:
    """The images differ widely, the recipes on each by one pixel: the paired interval is narrow."""
    place = Place(tmp_path, ("a", "b"))
    nothing = np.zeros((4, 4), np.uint8)
    more = REFERENCE.copy()
    more[1, 1] = 1  # one more right pixel of cat
    place.put("cam", winners(REFERENCE), only=("a",))
    place.put("cam", winners(nothing), only=("b",))
    extra = nothing.copy()
    extra[1, 1] = 1
    place.put("crops", winners(more), only=("a",))
    place.put("crops", winners(extra), only=("b",))
    scores = place.score(threshold=LEVEL_100)
    (pair,) = [c for c in scores.comparisons if c.threshold_rule == "fixed"]
    # a's NDR has 5 pixels and b's 9; each finds one of them, the reference none
    assert (pair.a, pair.b) == ("cam", "crops")
    assert pair.difference["ndr_recall"] == pytest.approx(2 / 14)
    assert pair.ci["ndr_recall"] == pytest.approx((2 / 18, 2 / 10))
    by_recipe = {r.recipe: r.miou for r in scores.rows if r.threshold_rule == "fixed"}
    assert pair.difference["miou"] == pytest.approx(by_recipe["crops"] - by_recipe["cam"])


def test_mask_of_another_size_than_the_image_is_left_out_and_named(place: Place) -> None:
    place.put("cam", winners(REFERENCE))
    place.put("crops", winners(SEED))
    Image.new("L", (5, 3)).save(place.root / "masks/b.png")
    scores = place.score(threshold=LEVEL_100)
    assert set(scores.left_out) == {"b"}
    assert "5×3" in scores.left_out["b"]
    assert "4×4" in scores.left_out["b"]
    assert row(scores, "crops", "fixed").images == 2
    assert row(scores, "crops", "fixed").miou == pytest.approx(MIOU)


def test_missing_mask_is_left_out_and_named(place: Place) -> None:
    place.put("cam", winners(REFERENCE))
    (place.root / "masks/c.png").unlink()
    scores = place.score()
    assert "c.png" in scores.left_out["c"]
    assert row(scores, "cam", "oracle").images == 2


def test_recipe_that_is_not_mapped_in_full_is_left_out_and_named(place: Place) -> None:
    place.put("cam", winners(REFERENCE))
    place.put("crops", winners(SEED), only=("a",))
    scores = place.score(threshold=LEVEL_100)
    assert {r.recipe for r in scores.rows} == {"cam"}
    assert list(scores.left_out) == ["recipe crops"]
    assert "2 of 3" in scores.left_out["recipe crops"]
    assert "beyondcam map" in scores.left_out["recipe crops"]


def test_image_that_no_recipe_has_mapped_is_left_out_and_named(place: Place) -> None:
    place.put("cam", winners(REFERENCE), only=("a", "c"))
    scores = place.score()
    assert list(scores.left_out) == ["b"]
    assert "beyondcam map" in scores.left_out["b"]
    assert row(scores, "cam", "oracle").images == 2


@pytest.mark.parametrize("recipe", ["cam", "crops"])
def test_image_whose_evidence_is_broken_is_left_out_and_named_whichever_recipe(
    place: Place, recipe: str
) -> None:
    shelves = {"cam": place.put("cam", winners(REFERENCE)), "crops": place.put("crops", winners(SEED))}
    path = shelves[recipe].path("b")
    path.write_bytes(path.read_bytes()[:60])
    scores = place.score(threshold=LEVEL_100)
    assert set(scores.left_out) == {"b"}
    assert path.name in scores.left_out["b"]
    assert {(r.recipe, r.images) for r in scores.rows} == {("cam", 2), ("crops", 2)}
    assert row(scores, "crops", "fixed").metrics["dr_recall"] == pytest.approx(DR_RECALL)


def test_image_whose_mask_is_broken_for_training_does_not_stop_the_score(tmp_path: Path) -> None:
    place = Place(tmp_path, tuple(f"n{n}" for n in range(20)))
    train = open_images(place.data, "train")
    for split in ("train", "val"):
        place.put("cam", winners(REFERENCE), split)
    (tmp_path / f"masks/{train.ids[0]}.png").write_bytes(b"")
    scores = place.score("val", training=Training(train, open_masks(place.data, "train")))
    assert set(scores.left_out) == {f"{train.ids[0]} of --split train"}
    assert row(scores, "cam", "train").threshold == pytest.approx(level_threshold(40))


def test_training_image_whose_evidence_is_broken_chooses_no_recipe_s_threshold(tmp_path: Path) -> None:
    """The one image on which another level is right is left out of both recipes, and named."""
    place = Place(tmp_path, tuple(f"n{n}" for n in range(20)))
    train = open_images(place.data, "train")
    for recipe in ("cam", "crops"):
        place.put(recipe, winners(REFERENCE), "val")
        place.put(recipe, winners(REFERENCE), "train", only=train.ids[1:])
        place.put(recipe, winners(REFERENCE, high=30, low=20), "train", only=train.ids[:1])
    path = place.shelf("crops", "train").path(train.ids[0])
    path.write_bytes(path.read_bytes()[:60])
    scores = place.score("val", training=Training(train, open_masks(place.data, "train")))
    assert set(scores.left_out) == {f"{train.ids[0]} of --split train"}
    for recipe in ("cam", "crops"):
        assert row(scores, recipe, "train").threshold == pytest.approx(level_threshold(40))


def test_recipe_that_changed_under_its_name_does_not_stop_the_score(place: Place) -> None:
    """Old evidence stays on disk beside the new: both are told apart by their hash, or one line says so."""
    place.put("cam", winners(REFERENCE))
    place.put("mine", winners(SEED), recipe="crops")
    place.put("mine", winners(REFERENCE), recipe="saliency")
    scores = place.score(threshold=LEVEL_100)
    mine = [r for r in scores.rows if (r.recipe, r.threshold_rule) == ("mine", "fixed")]
    assert {r.recipe_hash: r.metrics["ndr_recall"] for r in mine} == pytest.approx(
        {Cookbook().recipe("crops").hash: NDR_RECALL, Cookbook().recipe("saliency").hash: 0}
    )


def test_evidence_of_different_seeds_is_scored_apart(place: Place) -> None:
    for seed, own in ((0, SEED), (1, REFERENCE)):
        place.put("cam", winners(REFERENCE), seed=seed)
        place.put("crops", winners(own), seed=seed)
    scores = place.score(threshold=LEVEL_100)
    found = {
        r.seed: r.metrics["ndr_recall"]
        for r in scores.rows
        if (r.recipe, r.threshold_rule) == ("crops", "fixed")
    }
    assert found == pytest.approx({0: NDR_RECALL, 1: 0})
    assert len(scores.comparisons) == 4  # cam with crops, by seed and rule


def test_without_a_reference_there_are_no_region_metrics(place: Place) -> None:
    place.put("crops", winners(SEED))
    found = row(place.score(threshold=LEVEL_100), "crops", "fixed")
    assert found.miou == pytest.approx(MIOU)
    assert [found.metrics[m] for m in ("dr_recall", "ndr_recall", "fg_precision")] == [None] * 3
    assert found.reference_threshold is None


def test_run_without_evidence_is_one_line_that_says_which_command_makes_it(place: Place) -> None:
    with pytest.raises(BeyondcamError, match="beyondcam map") as caught:
        place.score()
    assert "\n" not in str(caught.value)


def test_run_without_a_mask_that_fits_is_one_line_that_says_why(place: Place) -> None:
    place.put("cam", winners(REFERENCE))
    for i in place.ids:
        Image.new("L", (5, 3)).save(place.root / f"masks/{i}.png")
    with pytest.raises(BeyondcamError, match="5×3") as caught:
        place.score()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "3,30,60,9\n", "3,30,60,9.0,1.5\n3,30,60,9.0,1e-"])
def test_cost_file_cut_short_does_not_stop_the_score(place: Place, content: str) -> None:
    shelf = place.put("cam", winners(REFERENCE))
    (shelf.folder / "cost-0.csv").write_text(content)
    assert row(place.score(), "cam", "oracle").images == 3


def test_image_without_targets_is_all_background() -> None:
    evidence = Evidence.of(torch.zeros(0, 4, 4), (), (), (4, 4))
    counts = ImageTally.of(winners_of(evidence), TRUTH).at(0, 2)
    assert counts.tolist() == [[5, 0, 0], [14, 0, 0], [5, 5, 4]]
