"""The ledger: what rows say they have seen, worked out by hand."""

import json
from pathlib import Path

import pytest

from beyondcam.classifier import TrainConfig
from beyondcam.metrics.rows import ChosenOn
from beyondcam.metrics.supervision import (
    PHOTOS_AND_DIGITS,
    TUNED_ON,
    pretraining_of,
    supervision_of,
    supervision_of_network,
)
from beyondcam.metrics.table import print_supervision
from beyondcam.recipes import Cookbook
from beyondcam.refinements import REFINEMENTS
from small import REFERENCE, SEED, SmallRun, winners


def ledger(recipe: str, rule: str):
    return supervision_of("ImageNet", Cookbook().recipe(recipe).model_dump(mode="json"), rule)


def test_best_has_crops_for_views_and_constants_from_three_sorts_of_data() -> None:
    found = ledger("best", "adaptive")
    assert (found.views, found.crf) == (("32 crops",), False)
    assert found.tuned_on == ("VOC animals", "digits", "magnetic tiles")
    assert str(found) == (
        "pretrained on ImageNet; masks for τ: none; views: 32 crops; no CRF; masks for constants: VOC "
        "animals, digits, magnetic tiles"
    )


def test_cam_at_the_oracles_threshold_has_no_constant_and_one_view() -> None:
    found = ledger("cam", "oracle")
    assert (found.views, found.crf, found.tuned_on) == ((), False, ())
    assert "views: one" in str(found)


def test_views_and_crfs_are_found_at_any_depth() -> None:
    assert ledger("cam-ms+crf", "fixed").views == ("scales",)
    assert ledger("cam-ms+crf", "fixed").crf is True
    assert ledger("crops-mean", "blind").tuned_on == PHOTOS_AND_DIGITS
    assert ledger("smoothgrad", "oracle").views == ("16 noise",)


def test_of_what_other_programs_made_nothing_is_claimed() -> None:
    found = supervision_of(None, "mine, read from .npy files", "oracle")
    assert (found.views, found.crf, found.tuned_on) == (None, None, None)
    assert str(found).startswith("pretrained on unknown; masks for τ: those scored; views: unknown")


def test_masks_of_another_split_are_counted_or_named() -> None:
    recipe = Cookbook().recipe("cam").model_dump(mode="json")
    for chosen_on, expected in ((ChosenOn(split="train", images=("a", "b")), "2 of train"),
                                (ChosenOn(split="train"), "train")):  # fmt: skip
        assert supervision_of(None, recipe, "few", str(chosen_on)).threshold == expected


def test_input_sizes_that_are_not_the_networks_were_chosen_on_masks() -> None:
    for recipe, tuned in (
        ("saliency-fine", PHOTOS_AND_DIGITS),
        ("cam-fine", PHOTOS_AND_DIGITS),
        ("cam-ms", ()),
    ):
        assert ledger(recipe, "oracle").tuned_on == tuned


def test_a_network_has_seen_what_its_seeds_have_and_what_its_settings_were_chosen_on() -> None:
    seeds = ledger("cam", "blind")
    found = supervision_of_network(pretrained=False, mirrored=True, seeds=seeds)
    assert str(found) == (
        "pretrained on nothing, its classifier on ImageNet; masks for τ: none; views: mirror image; no CRF; "
        "masks for constants: VOC animals, digits, magnetic tiles"
    )
    truth = supervision_of_network(pretrained=True, mirrored=False, seeds=None)
    assert (truth.pretrained, truth.views, truth.crf) == ("ImageNet", (), False)
    foreign = supervision_of_network(
        pretrained=True, mirrored=False, seeds=supervision_of(None, "mine, read from .npy files", "oracle")
    )
    assert (foreign.pretrained, foreign.threshold) == ("ImageNet, its classifier on unknown", "those scored")
    assert (foreign.crf, foreign.tuned_on) == (None, None)


def test_every_entry_is_a_refinement_or_a_rule_or_a_setting() -> None:
    assert set(TUNED_ON) - set(REFINEMENTS.kinds) == {"blind", "adaptive", "size", "network"}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"backbone": "convnet"}, "nothing"),
        ({"backbone": "resnet18", "pretrained": False}, "nothing"),
        ({"backbone": "resnet18"}, "ImageNet"),
        ({"backbone": "resnet18", "pretrained": False, "weights": "w.pth"}, "ImageNet"),
        ({"backbone": "resnet18", "start": "other"}, "another RUN's data"),
        ({"backbone": "timm:resnet18", "pretrained": False}, "what timm:resnet18 was trained on"),
    ],
)
def test_pretraining_is_what_the_settings_say(
    settings: dict[str, object], expected: str, tmp_path: Path
) -> None:
    train = TrainConfig.model_validate({"data": "digits", **settings}).model_dump(mode="json")
    (tmp_path / "config.json").write_text(json.dumps({"train": train, "classes": ["a"]}))
    assert pretraining_of(tmp_path) == expected
    assert pretraining_of(tmp_path / "none") is None


def test_rows_tell_whose_masks_chose_their_threshold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = SmallRun(tmp_path, ("a", "b"))
    small.put("cam", winners(REFERENCE))
    small.put("crops", winners(SEED))
    scores = small.score(threshold=0.2)
    told = {row.threshold_rule: row.supervision for row in scores.rows if row.recipe == "crops"}
    assert {rule: s.threshold for rule, s in told.items() if s} == {
        "fixed": None, "adaptive": "none", "oracle": "those scored",
    }  # fmt: skip
    assert all(s and s.pretrained is None for s in told.values())  # the RUN has no settings
    print_supervision(scores.rows)
    assert "crops: pretrained on unknown; masks for τ: unknown; views: 32 crops" in capsys.readouterr().out
