"""Counts at every threshold, against an example by hand and a plain version that looks at each pixel."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import confusion_matrix

from beyondcam.evidence import LEVELS, Evidence, Winners, winners_of
from beyondcam.metrics.tally import ImageTally, Sweep, iou, mean_iou, resampled_miou
from small import IOU, MIOU, SEED, TRUTH, VOID, winners


def test_example_by_hand_gives_intersection_predicted_and_true_pixels() -> None:
    counts = ImageTally.of(winners(SEED), TRUTH).at(100, 2)
    assert counts.tolist() == [[4, 3, 2], [6, 5, 3], [5, 5, 4]]


def test_example_by_hand_gives_iou_and_its_mean() -> None:
    sweep = Sweep.of([ImageTally.of(winners(SEED), TRUTH)], 2)
    by_class = iou(sweep.intersection[:, 100], sweep.predicted[:, 100], sweep.true)
    assert np.allclose(by_class, list(IOU.values()), atol=1e-12)
    assert sweep.miou()[100] == pytest.approx(MIOU)


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


@settings(max_examples=40)
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


def test_image_of_as_many_labels_as_a_mask_can_number_is_counted_pixel_by_pixel() -> None:
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(1, 255).repeat(2)).astype(np.uint8)
    levels, truth = rng.integers(0, 256, (2, 508), np.uint8)
    tally = ImageTally.of(Winners(labels[None], levels[None]), truth[None])
    assert tally.labels.tolist() == list(range(1, 255))
    plain = np.zeros((256, 255, LEVELS), int)
    np.add.at(plain, (truth, labels, levels), 1)
    counted = np.zeros_like(plain)
    counted[np.ix_(tally.truths, tally.labels)] = tally.counts
    plain[VOID] = 0
    assert np.array_equal(counted, plain)


def test_best_level_is_the_lowest_of_the_best() -> None:
    truth = np.array([[1, 1, 0, 0]], np.uint8)
    own = Winners(np.ones((1, 4), np.uint8), np.array([[200, 150, 90, 10]], np.uint8))
    sweep = Sweep.of([ImageTally.of(own, truth)], 1)
    assert np.flatnonzero(sweep.miou() == 1).tolist() == list(range(90, 150))
    assert sweep.best_level() == 90


def test_absent_class_counts_by_the_custom_asked_for() -> None:
    """Background 1/2 and cat 1/4; dog is predicted though absent; sheep is nowhere."""
    intersection, predicted, true = np.array([2, 1, 0, 0]), np.array([2, 3, 3, 0]), np.array([4, 2, 0, 0])
    by_class = iou(intersection, predicted, true)
    assert np.allclose(by_class, [1 / 2, 1 / 4, 0, np.nan], equal_nan=True)
    assert mean_iou(by_class, true, "auto") == pytest.approx((1 / 2 + 1 / 4 + 0) / 3)
    assert mean_iou(by_class, true, "drop") == pytest.approx((1 / 2 + 1 / 4) / 2)
    assert mean_iou(by_class, true, "zero") == pytest.approx((1 / 2 + 1 / 4) / 4)


def test_a_class_that_a_resample_did_not_draw_has_no_part_in_its_mean() -> None:
    """Cat is on the first image alone, the second has a stray pixel of it; dog is nowhere in truth."""
    first = [[4, 2, 0], [5, 2, 1], [4, 4, 0]]  # intersection, predicted, true of background, cat, dog
    second = [[6, 0, 0], [6, 1, 1], [8, 0, 0]]
    by_image, weights = np.array([first, second]), np.array([[1, 1], [2, 0], [0, 2]])
    whole = (10 / 13 + 2 / 5 + 0) / 3
    cat, no_cat = (4 / 5 + 2 / 4 + 0) / 3, (6 / 8 + 0) / 2
    assert resampled_miou(by_image, weights) == pytest.approx([whole, cat, no_cat])
    assert resampled_miou(by_image, weights, "drop") == pytest.approx([7.6 / 13, 1.3 / 2, 6 / 8], abs=1e-3)
    zero = [(10 / 13 + 2 / 5) / 3, 1.3 / 3, (6 / 8) / 2]
    assert resampled_miou(by_image, weights, "zero") == pytest.approx(zero)


def test_mean_iou_is_of_the_data_set_not_of_the_images() -> None:
    """One image is right on 1 of 1 pixel of cat, the other on 1 of 9: together 2 of 10, on average 5/9."""
    first = ImageTally.of(winners(np.array([[1, 0]], np.uint8)), np.array([[1, 0]], np.uint8))
    half = np.array([[1] * 9 + [0]], np.uint8)
    second = ImageTally.of(winners(np.array([[1] + [0] * 9], np.uint8)), half)
    sweep = Sweep.of([first, second], 1)
    # background: 1 + 1 right; 1 + 9 predicted and 1 + 1 true make a union of 10
    assert sweep.miou()[100] == pytest.approx((2 / 10 + 2 / 10) / 2)


def test_image_without_targets_is_all_background() -> None:
    evidence = Evidence.of(torch.zeros(0, 4, 4), (), (), (4, 4))
    counts = ImageTally.of(winners_of(evidence), TRUTH).at(0, 2)
    assert counts.tolist() == [[5, 0, 0], [14, 0, 0], [5, 5, 4]]
