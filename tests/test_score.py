"""A whole split scored from files, against the example by hand."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beyondcam.errors import BeyondcamError
from beyondcam.evidence import level_threshold
from beyondcam.metrics.bootstrap import RESAMPLES
from beyondcam.metrics.rows import CostPerImage, Shown
from beyondcam.recipes import Cookbook, Cost
from beyondcam.seeds import seed_labels
from small import (
    DR_RECALL,
    FG_PRECISION,
    IOU,
    LEVEL_100,
    MIOU,
    NDR_RECALL,
    REFERENCE,
    SEED,
    TRUTH,
    VOID,
    SmallRun,
    winners,
)


def test_score_of_files_is_the_example_by_hand(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    small.put("crops", winners(SEED)).add_cost(3, Cost(30, 60, 9.0, 1.5))
    scores = small.score(threshold=LEVEL_100)
    found = scores.row("crops", "fixed")
    assert found.iou == pytest.approx(IOU)
    metrics = [found.metrics[m] for m in ("miou", "dr_recall", "ndr_recall", "fg_precision")]
    assert metrics == pytest.approx([MIOU, DR_RECALL, NDR_RECALL, FG_PRECISION])
    assert found.threshold == found.reference_threshold == pytest.approx(LEVEL_100)
    assert (found.images, found.split, found.targets, found.seed) == (3, "all", "labels", 0)
    assert found.recipe_hash == Cookbook().recipe("crops").hash
    assert found.data == small.data
    assert found.cost == CostPerImage(forward=10, backward=20, megapixels=3.0, seconds=0.5)
    # three equal images: every resample is the data set itself
    for metric, value in zip(("miou", "dr_recall", "ndr_recall", "fg_precision"), metrics, strict=True):
        assert found.ci[metric] == pytest.approx((value, value))
    own = scores.row("cam", "fixed")
    assert (own.metrics["dr_recall"], own.metrics["ndr_recall"]) == (1, 0)
    assert own.metrics["fg_precision"] == pytest.approx(4 / 4)
    assert not scores.left_out


def test_evidence_that_cannot_be_scored_takes_no_other_with_it(small: SmallRun) -> None:
    small.put("cam", winners(SEED))
    other = small.shelf("crops", seed=1)
    for i in ("a", "b", "c"):
        other.path(i).write_bytes(b"no evidence")
    scores = small.score()
    assert {row.recipe for row in scores.rows} == {"cam"}
    assert "none of the 3 images can be scored" in scores.left_out["recipe crops"]


def test_the_references_threshold_is_chosen_on_the_images_that_are_scored(tmp_path: Path) -> None:
    """That of a alone is lower than that of the others, of which another recipe cannot be read."""
    small, shown = SmallRun(tmp_path, ("a", "b", "c", "d")), np.where(TRUTH == VOID, 0, TRUTH)
    small.put("cam", winners(shown), only=("a",))
    small.put("cam", winners(shown, high=255, low=220), only=("b", "c", "d"))
    crops = small.put("crops", winners(SEED))
    assert small.score().row("cam", "oracle").threshold == pytest.approx(level_threshold(220))
    for i in ("b", "c", "d"):
        crops.path(i).write_bytes(b"no evidence")
    scores = small.score()
    assert scores.left_out.keys() >= {"b", "c", "d"}
    own = scores.row("cam", "oracle")
    assert (own.images, own.threshold) == (1, pytest.approx(level_threshold(40)))
    assert scores.row("crops", "oracle").reference_threshold == own.threshold


def test_score_counts_pixels_over_the_data_set_before_it_divides(tmp_path: Path) -> None:
    small = SmallRun(tmp_path, ("a", "b"))
    small.put("cam", winners(REFERENCE))
    small.put("crops", winners(SEED), only=("a",))
    small.put("crops", winners(np.zeros((4, 4), np.uint8)), only=("b",))
    found = small.score(threshold=LEVEL_100).row("crops", "fixed")
    assert found.metrics["dr_recall"] == pytest.approx(3 / 8)
    assert found.metrics["ndr_recall"] == pytest.approx(2 / 10)
    assert found.metrics["fg_precision"] == pytest.approx(5 / 8)  # not a mean over images
    # background: 4 + 5 right of 6 + 14 predicted and 10 true
    assert found.iou == pytest.approx({"background": 9 / 21, "cat": 3 / 12, "dog": 2 / 9})
    assert found.iou_ci["cat"] == pytest.approx((0, 3 / 7))  # b alone, a alone
    assert found.shown["cat"] == Shown(images=2, area=5 / 14)
    low, high = found.ci["dr_recall"]
    assert low == 0
    assert high == pytest.approx(6 / 8)


def test_how_much_is_shown_of_a_class_is_the_median_over_the_images_that_show_it(tmp_path: Path) -> None:
    small = SmallRun(tmp_path, ("a", "b", "c", "d"), np.zeros((4, 4), np.uint8))
    for i, pixels in zip("abc", (2, 3, 14), strict=True):
        mask = (np.arange(16) < pixels).astype(np.uint8).reshape(4, 4)
        Image.fromarray(mask).save(small.root / "masks" / f"{i}.png")
    small.put("cam", winners(REFERENCE))
    shown = small.score().row("cam", "oracle").shown
    assert shown["cat"] == Shown(images=3, area=3 / 16)
    assert shown["dog"] == Shown(images=0, area=None)


def test_score_agrees_with_the_seeds_that_are_written(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    shelf = small.put("crops", winners(SEED))
    seed = seed_labels(shelf.read("a"), LEVEL_100)
    assert np.array_equal(seed, SEED)
    ours, theirs = (labels[TRUTH != VOID] for labels in (seed, TRUTH))
    by_hand = [((ours == k) & (theirs == k)).sum() / ((ours == k) | (theirs == k)).sum() for k in range(3)]
    found = small.score(threshold=LEVEL_100).row("crops", "fixed")
    assert list(found.iou.values()) == pytest.approx(by_hand)


def test_curves_are_the_sweep_and_the_recalls_at_the_oracle_level(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    small.put("crops", winners(SEED))
    scores = small.score()
    curve = scores.curve("crops")
    assert curve.miou[100] == pytest.approx(MIOU)
    assert curve.threshold[100] == pytest.approx(LEVEL_100)
    assert level_threshold(curve.levels["oracle"]) == scores.row("crops", "oracle").threshold
    reference_level = curve.reference_levels["oracle"]
    oracle = scores.row("crops", "oracle").metrics
    assert curve.dr_recall[reference_level] == pytest.approx(oracle["dr_recall"])
    assert curve.ndr_recall[reference_level] == pytest.approx(oracle["ndr_recall"])
    assert curve.dr_recall[255] is None


def test_recipe_compared_with_itself_differs_by_exactly_nothing(tmp_path: Path) -> None:
    small = SmallRun(tmp_path, ("a", "b", "c"))
    small.put("cam", winners(REFERENCE))
    for name in ("crops", "again"):
        small.put(name, winners(SEED), only=("a", "c"), recipe="crops")
        small.put(name, winners(REFERENCE, low=150), only=("b",), recipe="crops")
    scores = small.score(threshold=LEVEL_100)
    pairs = [c for c in scores.comparisons if {c.a, c.b} == {"crops", "again"}]
    assert len(pairs) == 3  # fixed, adaptive and oracle
    for pair in pairs:
        assert set(pair.difference) == {"miou", "dr_recall", "ndr_recall", "fg_precision"}
        assert set(pair.difference.values()) == {0}
        assert set(pair.ci.values()) == {(0, 0)}
        assert set(pair.p.values()) == {1}


def test_comparison_is_of_b_less_a_over_the_same_resamples(tmp_path: Path) -> None:
    """The images differ widely, the recipes on each by one pixel: the paired interval is narrow."""
    small = SmallRun(tmp_path, ("a", "b"))
    nothing = np.zeros((4, 4), np.uint8)
    more = REFERENCE.copy()
    more[1, 1] = 1  # one more right pixel of cat
    small.put("cam", winners(REFERENCE), only=("a",))
    small.put("cam", winners(nothing), only=("b",))
    extra = nothing.copy()
    extra[1, 1] = 1
    small.put("crops", winners(more), only=("a",))
    small.put("crops", winners(extra), only=("b",))
    scores = small.score(threshold=LEVEL_100)
    (pair,) = [c for c in scores.comparisons if c.threshold_rule == "fixed"]
    # a's NDR has 5 pixels and b's 9; each finds one of them, the reference none
    assert (pair.a, pair.b) == ("cam", "crops")
    assert pair.difference["ndr_recall"] == pytest.approx(2 / 14)
    assert pair.ci["ndr_recall"] == pytest.approx((2 / 18, 2 / 10))
    assert pair.p["ndr_recall"] == pytest.approx(2 / (RESAMPLES + 1))  # above 0 in every one
    by_recipe = {r.recipe: r.miou for r in scores.rows if r.threshold_rule == "fixed"}
    assert pair.difference["miou"] == pytest.approx(by_recipe["crops"] - by_recipe["cam"])


def test_recipe_that_changed_under_its_name_does_not_stop_the_score(small: SmallRun) -> None:
    """Old evidence stays on disk beside the new: both are told apart by their hash, or one line says so."""
    small.put("cam", winners(REFERENCE))
    small.put("mine", winners(SEED), recipe="crops")
    small.put("mine", winners(REFERENCE), recipe="saliency")
    scores = small.score(threshold=LEVEL_100)
    mine = [r for r in scores.rows if (r.recipe, r.threshold_rule) == ("mine", "fixed")]
    assert {r.recipe_hash: r.metrics["ndr_recall"] for r in mine} == pytest.approx(
        {Cookbook().recipe("crops").hash: NDR_RECALL, Cookbook().recipe("saliency").hash: 0}
    )


def test_evidence_of_different_seeds_is_scored_apart(small: SmallRun) -> None:
    for seed, own in ((0, SEED), (1, REFERENCE)):
        small.put("cam", winners(REFERENCE), seed=seed)
        small.put("crops", winners(own), seed=seed)
    scores = small.score(threshold=LEVEL_100)
    found = {
        r.seed: r.metrics["ndr_recall"]
        for r in scores.rows
        if (r.recipe, r.threshold_rule) == ("crops", "fixed")
    }
    assert found == pytest.approx({0: NDR_RECALL, 1: 0})
    assert len(scores.comparisons) == 6  # cam with crops, by seed and rule


def test_without_a_reference_there_are_no_region_metrics(small: SmallRun) -> None:
    small.put("crops", winners(SEED))
    found = small.score(threshold=LEVEL_100).row("crops", "fixed")
    assert found.miou == pytest.approx(MIOU)
    assert [found.metrics[m] for m in ("dr_recall", "ndr_recall", "fg_precision")] == [None] * 3
    assert found.reference_threshold is None


def test_run_without_evidence_is_one_line_that_says_which_command_makes_it(small: SmallRun) -> None:
    with pytest.raises(BeyondcamError, match="beyondcam map") as caught:
        small.score()
    assert "\n" not in str(caught.value)


def test_run_without_a_mask_that_fits_is_one_line_that_says_why(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    for i in small.ids:
        Image.new("L", (5, 3)).save(small.root / f"masks/{i}.png")
    with pytest.raises(BeyondcamError, match="5×3") as caught:
        small.score()
    assert "\n" not in str(caught.value)


def test_masks_without_an_object_let_oracle_alone_choose_and_that_none_of_it(small: SmallRun) -> None:
    evidence = winners(REFERENCE)
    small.put("cam", evidence)
    for i in small.ids:
        Image.new("L", (4, 4)).save(small.root / f"masks/{i}.png")
    scores = small.score()
    assert {row.threshold_rule for row in scores.rows} == {"adaptive", "oracle"}
    highest = level_threshold(int(evidence.levels.max()))  # the lowest τ at which nothing is found
    assert scores.row("cam", "oracle").threshold == pytest.approx(highest)


@pytest.mark.parametrize("cut", ["", "3,30,60,9\n", "1,90,90,90.0,1e-", "1,90,90,90.0,1"])
def test_cost_file_cut_short_does_not_stop_the_score_or_change_the_cost(small: SmallRun, cut: str) -> None:
    shelf = small.put("cam", winners(REFERENCE))
    (shelf.folder / "cost-0.csv").write_text(cut)
    assert small.score().row("cam", "oracle").images == 3
    (shelf.folder / "cost-1.csv").write_text(f"3,30,60,9.0,1.5\n{cut}")
    assert shelf.cost() == {"forward": 10, "backward": 20, "megapixels": 3, "seconds": 0.5}
