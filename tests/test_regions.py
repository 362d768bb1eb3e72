"""Region metrics, against an example by hand and a loop over pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beyondcam.evidence import Winners
from beyondcam.metrics.metric import METRICS, Pixels
from beyondcam.metrics.regions import joint_levels, recall_curve, region_levels, right_levels
from beyondcam.metrics.tally import ImageTally
from small import DR_RECALL, FG_PRECISION, NDR_RECALL, REFERENCE, SEED, TRUTH, VOID, winners


def joint_of(mine: Winners, reference: Winners, truth: np.ndarray) -> np.ndarray:
    """Pixels of both classes by both right levels."""
    return joint_levels(*(right_levels(one, truth, (1, 2)) for one in (mine, reference))).sum(0)


def region_metrics(mine: Winners, reference: Winners, truth: np.ndarray, level: int, reference_level: int):
    """DR-Recall, NDR-Recall and FG-Precision of one image, by the package's counts."""
    inside = region_levels(joint_of(mine, reference, truth)[None], [reference_level])[0]
    counts = ImageTally.of(mine, truth).at(level, 2)[:, None]  # (3, 1 sample, classes + 1)
    pixels = Pixels(*counts, (inside[None, level + 1 :].sum(1), inside[None].sum(1)))
    return tuple(METRICS[name].measure(pixels).item() for name in ("dr_recall", "ndr_recall", "fg_precision"))


def test_right_is_the_winners_level_where_it_names_the_truth() -> None:
    labels, levels = np.array([[1, 1, 1, 1, 2]], np.uint8), np.array([[90, 80, 70, 60, 50]], np.uint8)
    truth = np.array([[1, 0, 2, VOID, 2]], np.uint8)
    right = right_levels(Winners(labels, levels), truth, (1, 2, 3))
    assert [pixels.tolist() for pixels in right] == [[90], [0, 50], []]


def test_each_class_has_its_own_level_of_the_reference() -> None:
    joint = np.zeros((2, 256, 256), np.int64)
    joint[0, 90, 100], joint[1, 50, 100], joint[1, 0, 200] = 3, 5, 7
    inside = region_levels(joint, [99, 100])
    assert (inside[0, 90], inside[1, 0], inside.sum()) == (3, 7, 10)
    assert region_levels(joint[:0], []).shape == (0, 256)


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
        a, b = (region_levels(joint_of(*p, truth)[None], [level]) for p in (pair, other))
        assert np.array_equal(a, b)
    assert np.array_equal(*(joint_of(*p, truth) for p in (pair, other)))


@settings(max_examples=30)
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
