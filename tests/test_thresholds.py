"""Threshold rules: what each chooses τ on, and that none is mixed up with another."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beyondcam.data import open_images
from beyondcam.evidence import AdaptiveThreshold, Shelf, Threshold, Winners, level_threshold
from beyondcam.metrics import ThresholdSplit, read_scores, threshold_of, write_scores
from beyondcam.metrics.rows import ChosenOn
from beyondcam.metrics.rules import RULES, Rule, adaptive
from beyondcam.metrics.table import print_table
from beyondcam.metrics.tally import Absent, FallSweep
from beyondcam.seeds import seed_labels
from conftest import complaint
from small import DR_RECALL, IOU, LEVEL_100, NDR_RECALL, REFERENCE, SEED, TRUTH, VOID, SmallRun, winners


def test_rules_are_found_on_their_own_splits_and_never_mixed(tmp_path: Path) -> None:
    """What the masks say is right stands at level 180; what is wrong, at 70 in train and at 120 in val.

    The witnesses, who are right, are heard on val alone.
    """
    small = SmallRun(tmp_path, tuple(f"n{n}" for n in range(20)))
    truth = np.where(TRUTH == VOID, 0, TRUTH)
    small.agree(winners(truth), "val")
    train, val = (small.images(split) for split in ("train", "val"))
    assert train.ids
    assert val.ids
    small.put("cam", winners(truth, high=180, low=70), "train")
    small.put("cam", winners(truth, high=150, low=30), "val")
    small.put("saliency", winners(truth, high=180, low=70), "train")
    small.put("saliency", winners(truth, high=180, low=120), "val")
    small.put("crops", winners(truth, high=180, low=120), "val")
    odd, *_ = train.ids
    small.put("saliency", winners(truth, high=180, low=50), "train", only=(odd,))
    small.put("cam", winners(truth, high=180, low=60), "train", only=(odd,))
    threshold_split = ThresholdSplit(train, small.masks("train"), few=(odd,))
    scores = small.score("val", threshold_split=threshold_split, threshold=level_threshold(20))

    def thresholds(recipe: str) -> dict[str, tuple[float, float]]:
        return {
            r.threshold_rule: (r.threshold, r.reference_threshold) for r in scores.rows if r.recipe == recipe
        }

    def levels(own: int, reference: int) -> tuple[float, float]:
        return pytest.approx((level_threshold(own), level_threshold(reference)))

    assert thresholds("saliency") == {
        "fixed": levels(20, 20), "blind": levels(120, 30), "few": levels(50, 60), "train": levels(70, 70),
        "oracle": levels(120, 30),
        "adaptive": (None, None),
    }  # fmt: skip
    assert thresholds("crops") == {  # not mapped in train
        "fixed": levels(20, 20), "blind": levels(120, 30), "oracle": levels(120, 30), "adaptive": (None, None)
    }  # fmt: skip
    assert scores.row("saliency", "oracle").miou == pytest.approx(1)
    # at level 70 all that is background is cat: cat 5 of 10, dog 4 of 4, background none
    assert scores.row("saliency", "train").miou == pytest.approx((5 / 10 + 1 + 0) / 3)
    assert scores.row("saliency", "train").split == "val"
    assert scores.row("saliency", "train").chosen_on == ChosenOn(split="train")
    assert scores.row("saliency", "few").chosen_on == ChosenOn(split="train", images=(odd,))
    assert all(scores.row("saliency", rule).chosen_on is None for rule in ("fixed", "blind", "oracle"))
    assert {c.threshold_rule for c in scores.comparisons} == {
        "fixed",
        "adaptive",
        "blind",
        "few",
        "train",
        "oracle",
    }
    assert len(scores.comparisons) == 3 + 3 + 3 + 1 + 1 + 3


def test_an_image_that_is_none_of_the_training_split_is_not_among_the_few(small: SmallRun) -> None:
    images, masks = small.images(), small.masks()
    assert masks is not None
    complaint(lambda: ThresholdSplit(images, masks, few=("a", "z")), "few: split all has no image z")


def test_masks_without_an_object_choose_no_threshold(tmp_path: Path) -> None:
    small = SmallRun(tmp_path, tuple(f"n{n}" for n in range(20)))
    train, val = (small.images(split) for split in ("train", "val"))
    for images in (train, val):
        small.put("cam", winners(REFERENCE), images.split)

    def rules(few: str) -> tuple[set[str], dict[str, str]]:
        scores = small.score("val", threshold_split=ThresholdSplit(train, small.masks("train"), few=(few,)))
        return {found.threshold_rule for found in scores.rows}, scores.left_out

    empty, other, *_ = train.ids
    Image.new("L", (4, 4)).save(tmp_path / f"masks/{empty}.png")
    assert rules(other) == ({"adaptive", "train", "few", "oracle"}, {})
    assert rules(empty) == (
        {"adaptive", "train", "oracle"},
        {"rule few": "no object in its masks of split train"},
    )
    for i in train.ids:
        Image.new("L", (4, 4)).save(tmp_path / f"masks/{i}.png")
    assert rules(empty)[0] == {"adaptive", "oracle"}
    assert rules(empty)[1].keys() == {"rule train", "rule few"}


@pytest.mark.parametrize("value", [math.nan, -0.1, 1.5])
def test_a_threshold_that_is_none_is_one_line(small: SmallRun, value: float) -> None:
    small.put("cam", winners(REFERENCE))
    complaint(lambda: small.score(threshold=value), f"threshold: {value}")
    complaint(lambda: small.score(threshold=0.5, reference_threshold=value), f"reference_threshold: {value}")


def test_rule_blind_sees_images_without_a_mask_as_seeds_do(small: SmallRun) -> None:
    shelf = small.put("cam", winners(REFERENCE), only=("a", "b"))
    slope = np.arange(0, 256, 16, dtype=np.uint8).reshape(4, 4)
    small.put("cam", Winners(np.ones_like(slope), slope), only=("c",))
    images = small.images()
    (small.root / "masks" / "c.png").unlink()
    small.agree(winners(SEED))
    scores = small.score()
    assert scores.left_out.keys() == {"c"}
    assert scores.row("cam", "blind").threshold == threshold_of(small.run, images, shelf, "blind").value
    by_all = threshold_of(small.run, images, shelf, "blind")
    assert by_all != threshold_of(small.run, replace(images, ids=("a", "b")), shelf, "blind")


def test_a_spoilt_witness_costs_a_score_the_rule_blind_alone(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    small.agree(winners(SEED))
    (spoilt, *_) = (small.run / "evidence" / "all-witnesses").glob("*/b.png")
    spoilt.write_bytes(b"")
    scores = small.score()
    assert {r.threshold_rule for r in scores.rows} == {"adaptive", "oracle"}
    assert str(spoilt) in scores.left_out["rule blind"]


def test_rules_are_there_only_where_they_can_be_answered(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    assert {r.threshold_rule for r in small.score().rows} == {"adaptive", "oracle"}
    small.agree(winners(SEED))
    assert {r.threshold_rule for r in small.score().rows} == {"adaptive", "blind", "oracle"}
    assert small.score(threshold=0.0).row("cam", "fixed").threshold == 0


@pytest.mark.parametrize(("absent", "best"), [("auto", 0.775), ("drop", 0.9375), ("zero", 0.625)])
def test_rules_of_masks_and_the_curve_are_of_the_custom_that_scores(
    tmp_path: Path, absent: Absent, best: float
) -> None:
    """Dog is in no mask. At level 90 six pixels of eight are found; below 80 all, and one of dog, wrongly.

    At 90: cat 6 of 8, background 8 of 10. At 20: cat 8 of 8, background 7 of 8, dog 0.
    """
    truth = np.array([[1, 1, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]], np.uint8)
    small = SmallRun(tmp_path, ("a", "b"), truth)
    labels, levels = np.ones((4, 4), np.uint8), np.full((4, 4), 20, np.uint8)
    levels[0], levels[1] = 200, (200, 200, 80, 80)
    labels[3, 3], levels[3, 3] = 2, 90
    small.put("cam", Winners(labels, levels))
    threshold_split = ThresholdSplit(small.images(), small.masks(), few=("a",))
    scores = small.score(absent=absent, threshold_split=threshold_split)
    level = 90 if absent == "auto" else 20
    for rule in ("few", "train", "oracle"):
        assert scores.row("cam", rule).miou == pytest.approx(best)
        assert scores.row("cam", rule).threshold == pytest.approx(level_threshold(level))
    assert scores.curve("cam").miou[level] == pytest.approx(best)


def test_image_whose_mask_is_broken_for_training_does_not_stop_the_score(tmp_path: Path) -> None:
    small = SmallRun(tmp_path, tuple(f"n{n}" for n in range(20)))
    train = open_images(small.data, "train")
    for split in ("train", "val"):
        small.put("cam", winners(REFERENCE), split)
    (tmp_path / f"masks/{train.ids[0]}.png").write_bytes(b"")
    scores = small.score("val", threshold_split=ThresholdSplit(train, small.masks("train")))
    assert set(scores.left_out) == {f"{train.ids[0]} of split train"}
    assert scores.row("cam", "train").threshold == pytest.approx(level_threshold(40))


def test_training_image_whose_evidence_is_broken_chooses_no_recipe_s_threshold(tmp_path: Path) -> None:
    """The one image on which another level is right is left out of both recipes, and named."""
    small = SmallRun(tmp_path, tuple(f"n{n}" for n in range(20)))
    train = open_images(small.data, "train")
    for recipe in ("cam", "crops"):
        small.put(recipe, winners(REFERENCE), "val")
        small.put(recipe, winners(REFERENCE), "train", only=train.ids[1:])
        small.put(recipe, winners(REFERENCE, high=30, low=20), "train", only=train.ids[:1])
    path = small.shelf("crops", "train").path(train.ids[0])
    path.write_bytes(path.read_bytes()[:60])
    scores = small.score("val", threshold_split=ThresholdSplit(train, small.masks("train")))
    assert set(scores.left_out) == {f"{train.ids[0]} of split train"}
    for recipe in ("cam", "crops"):
        assert scores.row(recipe, "train").threshold == pytest.approx(level_threshold(40))


def test_fixed_rule_takes_the_reference_at_a_threshold_of_its_own(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE, high=90))
    small.put("crops", winners(SEED))
    same = small.score(threshold=LEVEL_100).row("crops", "fixed")
    assert same.metrics["dr_recall"] is None  # at level 100 the reference finds nothing
    assert same.metrics["ndr_recall"] == pytest.approx(5 / 9)
    own = small.score(threshold=LEVEL_100, reference_threshold=level_threshold(60)).row("crops", "fixed")
    assert (own.metrics["dr_recall"], own.metrics["ndr_recall"]) == pytest.approx((DR_RECALL, NDR_RECALL))
    assert own.threshold == pytest.approx(LEVEL_100)
    assert own.reference_threshold == pytest.approx(level_threshold(60))


@pytest.mark.parametrize("witnesses", [False, True])
def test_adaptive_scores_are_those_of_the_seeds_it_gives(tmp_path: Path, witnesses: bool) -> None:
    """Counted pixel by pixel from the seeds; DR are the pixels that the reference's own seed has right."""
    rng, ids = np.random.default_rng(17), ("a", "b", "c", "d")
    small, seeds, falls = SmallRun(tmp_path, ids), {}, {}
    shelves, shown = {name: [] for name in ("cam", "crops")}, TRUTH % VOID
    for name, some in shelves.items():
        for i in ids:
            labels, levels = (rng.integers(*span, (4, 4), np.uint8) for span in ((1, 3), (100, 256)))
            if name == "cam":  # is nearly right
                labels, levels = np.where(shown, shown, labels), np.where(shown, levels, levels // 2)
            some.append(small.put(name, Winners(labels, levels), only=(i,)))
    if witnesses:
        small.agree(Winners(shown, np.where(shown, 255, 0).astype(np.uint8)))
    for name, (shelf, *_) in shelves.items():
        threshold = threshold_of(small.run, small.images(), shelf, "adaptive")
        falls[name] = threshold.fall
        seeds[name] = seeds_of(shelf, ids, threshold.fall)
        if witnesses:  # who find what the truth is, void being background
            agreement = [mean_iou_of(seeds_of(shelf, ids, fall), shown) for fall in AdaptiveThreshold.FALLS]
            agrees = max(agreement) > 0.6
            assert threshold.fall == (AdaptiveThreshold.FALLS[np.argmax(agreement)] if agrees else 0.4)
    assert falls == {"cam": 0.7 if witnesses else 0.4, "crops": 0.4}
    truth = np.broadcast_to(TRUTH, (len(ids), 4, 4))
    known, crops, cam = truth != VOID, seeds["crops"], seeds["cam"]
    row = small.score().row("crops", "adaptive")
    assert row.threshold is row.reference_threshold is None
    assert row.fall == falls["crops"]
    assert row.miou == pytest.approx(mean_iou_of(crops, TRUTH))
    thing = known & (truth > 0)
    for metric, region in (("dr_recall", thing & (cam == truth)), ("ndr_recall", thing & (cam != truth))):
        assert row.metrics[metric] == pytest.approx((crops == truth)[region].mean())


@pytest.mark.parametrize(
    ("hits", "fall"),
    [
        ([1, 2, 3, 4, 5, 9, 6, 5], 0.2),
        ([1, 9, 3, 4, 9, 5, 6, 5], 0.3),  # of two the one nearer to 0.4
        ([9, 8, 7, 6, 5, 4, 3, 2], 0.7),
        ([6, 5, 5, 5, 5, 5, 5, 5], 0.7),  # a mean IoU of 0.63
        ([5, 4, 3, 2, 1, 1, 1, 1], 0.4),  # of 0.57
        ([6, 6, 6, 6, 6, 6, 6, 6], 0.4),
    ],
)
def test_fall_is_the_best_one_where_witnesses_agree_and_else_the_default(
    hits: list[int], fall: float
) -> None:
    counts = np.array([[[20, n], [30 - n, 10], [20, 10]] for n in hits])  # background and a class
    assert FallSweep(counts).best("auto") == fall


def test_fall_is_the_best_one_without_a_class_of_which_nothing_is_agreed_on() -> None:
    """5 pixels of it at every fall, with an IoU of 0, take no mean below what is trusted."""
    counts = np.array([[[20, n, 0], [30 - n, 10, 5], [20, 10, 0]] for n in (1, 2, 3, 4, 5, 9, 6, 5)])
    assert adaptive(FallSweep(counts)).fall == 0.2


def seeds_of(shelf: Shelf, ids: tuple[str, ...], fall: float) -> np.ndarray:
    return np.stack([seed_labels(shelf.read(i), AdaptiveThreshold(fall=fall)) for i in ids])


def mean_iou_of(seeds: np.ndarray, truth: np.ndarray) -> float:
    """Over background and two classes; `truth` is that of every image."""
    truth = np.broadcast_to(truth, seeds.shape)
    known = truth != VOID
    same, either = (
        [(f(seeds == k, truth == k) & known).sum() for k in range(3)] for f in (np.logical_and, np.logical_or)
    )
    return float(np.mean(np.divide(same, either)))


class ByClass(Threshold):
    """Cat at level 100, dog at none."""

    def levels(self, won: np.ndarray) -> np.ndarray:
        assert len(won) == 2
        return np.array([100, 255])


def test_a_rule_that_is_added_is_answered_and_may_choose_a_level_for_each_class(
    small: SmallRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Three pixels of the seed that are not void are dog, none of them background in the truth."""
    monkeypatch.setitem(RULES, "by class", Rule("by class", "τ is by class", lambda data: ByClass(LEVEL_100)))
    small.put("crops", winners(SEED))
    scores = small.score()
    found = scores.row("crops", "by class")
    assert found.threshold == LEVEL_100
    assert found.iou == pytest.approx({"background": 4 / 10, "cat": IOU["cat"], "dog": 0})
    write_scores(small.run, small.images(), scores)
    assert read_scores(small.run).rows == scores.rows
    print_table(scores.rows)
    assert "by class" in capsys.readouterr().out
