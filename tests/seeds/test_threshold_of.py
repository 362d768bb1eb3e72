"""Thresholds that need no mask, or few."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shelves import evidence_of, shelf_of, witnesses_say

import beyondcam as bc
from beyondcam.data import VOID
from beyondcam.data.masks import Masks
from beyondcam.evidence import (
    SAMPLE,
    WITNESSES,
    Threshold,
    Winners,
    find_shelf,
    level_threshold,
    witnessed,
    write_evidence,
)
from beyondcam.metrics import band_of, threshold_of
from beyondcam.metrics.consensus import Pair, agreed_levels, consensus
from beyondcam.metrics.rows import write_records
from beyondcam.seeds import seed_labels
from conftest import complaint, shelf_for
from rows import score_row
from small import SEED, SmallRun, winners


@st.composite
def pairs(draw: st.DrawFn) -> list[Pair]:
    """Winners of two recipes on a few images of nine pixels; what has no label has no level."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        labels = rng.integers(0, 3, (2, 3, 3)).astype(np.uint8)
        levels = rng.choice([0, 1, 90, 200, 255], (2, 3, 3)).astype(np.uint8) * (labels > 0)
        found.append((Winners(labels[0], levels[0]), Winners(labels[1], levels[1])))
    return found


def agreement(found: list[Pair], i: int, j: int) -> float:
    """Pixel by pixel: the IoU of two seeds, a mean over the labels that win, times their background's."""
    a, b = (
        [k for w in own for k in np.where(w.levels > least, w.labels, 0).flat]
        for own, least in zip(zip(*found, strict=True), (i, j), strict=True)
    )
    known = {k for pair in found for w in pair for k in w.labels.flat} - {0}
    ious = {}
    for k in (0, *known):
        both, either = (sum(how((x == k, y == k)) for x, y in zip(a, b, strict=True)) for how in (all, any))
        ious[k] = both / either if either else 0.0
    return sum(ious[k] for k in known) / len(known) * ious[0] if known else 0.0


@given(pairs())
def test_agreed_levels_agree_best_pixel_by_pixel(found: list[Pair]) -> None:
    best = max(agreement(found, i, j) for i in (0, 1, 90, 200, 255) for j in (0, 1, 90, 200, 255))
    assert agreement(found, *agreed_levels(found)) == pytest.approx(best)


def test_blind_is_the_best_threshold_on_what_the_witnesses_agree_on_and_sees_no_mask(
    discs: str, tmp_path: Path
) -> None:
    """The left half stands at 150 on a ground of 90; a strip at 120 is an object by one witness alone."""
    run = tmp_path / "run"
    place = np.indices((48, 48))[1]
    strip = (place >= 24) & (place < 30)
    own = np.where(place < 24, 150, np.where(strip, 120, 90))
    shelf, images = shelf_of(discs, run, {"p01": own, "p05": own})
    complaint(
        lambda: threshold_of(run, images, shelf, "blind"), "`beyondcam map` makes them (with targets labels"
    )
    one, other = np.where(place < 30, 210, 40), np.where(place < 24, 180, 60)
    witnesses_say(discs, run, {"p01": (one, other)})
    complaint(
        lambda: threshold_of(run, images, shelf, "blind"), "1 of 2 images of split all have no witnesses yet"
    )
    witnesses_say(discs, run, {"p05": (one, other)})
    assert threshold_of(run, images, shelf, "blind").value == level_threshold(90)  # the strip is void
    witnesses_say(discs, run, {"p05": (other, other)})
    assert threshold_of(run, images, shelf, "blind").value == level_threshold(120)
    for mask in (tmp_path / "discs" / "masks").iterdir():
        mask.unlink()
    assert threshold_of(run, images, shelf, "blind").value == level_threshold(120)


def test_what_the_witnesses_call_by_two_names_is_void_and_a_class_that_is_all_void_draws_no_threshold(
    discs: str, tmp_path: Path
) -> None:
    """Rows 0–9 are blue, rows 10–11 red by one witness and blue by the other; the rest is ground.

    The recipe calls two rows of the ground red, at 120. Were red counted while it is predicted, though
    nothing of it is agreed on, the best threshold would be the one past which there is none.
    """
    run = tmp_path / "run"
    row = np.indices((48, 48))[0]
    blue = np.where(row < 5, 150, np.where(row < 10, 100, 20))
    shelf, images = shelf_of(discs, run, {})
    write_evidence(shelf, "p02", evidence_of(np.stack([blue, np.where(row >= 46, 120, 0)]), (0, 1)))
    asked = witnessed(images, "labels")
    for name, strip in zip(WITNESSES, (0, 1), strict=True):
        levels = np.stack([np.where((row < 10) | ((row < 12) & (strip == k)), 200, 0) for k in (0, 1)])
        levels[1, :10] = 0
        write_evidence(shelf_for(run, asked, name), "p02", evidence_of(levels, (0, 1)))
    agreed = consensus(run, images, shelf)
    assert agreed is not None
    assert agreed.masks.read("p02").unique(return_counts=True)[1].tolist() == [36 * 48, 10 * 48, 2 * 48]
    assert threshold_of(run, images, shelf, "blind").value == level_threshold(20)


@pytest.mark.parametrize(("lowest", "tau"), [(0, level_threshold(128)), (-170, level_threshold(30))])
def test_blind_leaves_as_much_void_as_the_witnesses_disagree_about(
    discs: str, tmp_path: Path, lowest: int, tau: float
) -> None:
    """They do about twelve columns of 48; what is below 0 on the ramp has no evidence, and is background."""
    run = tmp_path / "run"
    ramp = np.linspace(lowest, 255, 48**2).round().clip(0).reshape(48, 48)
    shelf, images = shelf_of(discs, run, {"p01": ramp})
    place = np.indices((48, 48))[1]
    witnesses_say(discs, run, {"p01": (np.where(place < 36, 210, 0), np.where(place < 24, 210, 0))})

    def void(band: float) -> float:
        return (seed_labels(shelf.read("p01"), tau, band) == VOID).mean()

    least = min(n / 255 for n in range(256) if void(n / 255) >= 12 / 48)
    assert band_of(run, images, shelf, "blind", Threshold(tau)) == pytest.approx(least)
    assert void(least) == pytest.approx(12 / 48, abs=2 / 256)  # by whole levels
    assert void(1.0) == (ramp > 0).mean()
    everywhere = np.full((48, 48), 210)
    witnesses_say(discs, run, {"p01": (np.where(place < 4, everywhere, 0), everywhere)})
    assert void(band_of(run, images, shelf, "blind", Threshold(tau))) >= min(44 / 48, (ramp > 0).mean())
    assert band_of(run, images, shelf, "0.3", Threshold(tau)) == 0.3
    wide = "void: wide: write a value between 0 and 1"
    complaint(lambda: band_of(run, images, shelf, "wide", Threshold(tau)), wide)
    complaint(lambda: band_of(run, images, shelf, "1.5", Threshold(tau)), "void: 1.5")


def test_witnesses_are_asked_about_some_images_that_have_a_target(discs: str) -> None:
    images = bc.open_images(discs, "all")
    labels = {i: own for i, own in images.labels.items() if i != "p03"} | {"p05": frozenset[int]()}
    many = replace(images, ids=tuple(f"n{n}" for n in range(1000)))
    asked = witnessed(replace(images, labels=labels), "labels")
    assert asked.ids == tuple(i for i in images.ids if labels.get(i))
    assert not {"p03", "p05"} & set(asked.ids)
    assert asked.split != images.split  # so that no score takes them for evidence of the split
    assert witnessed(many, "labels").ids == ()
    drawn = witnessed(many, "predicted").ids
    assert (len(drawn), drawn[0], drawn[-1]) == (SAMPLE, "n0", "n992")


def test_threshold_of_a_few_masked_images_is_the_best_on_these(discs: str, tmp_path: Path) -> None:
    """Blue lies at 200 in p01 on a ground of 50, in p02 at 120 on a ground of 90."""
    masks = bc.open_masks(discs, "all")
    assert masks is not None
    blue = {i: masks.read(i).numpy() == 1 for i in ("p01", "p02")}
    levels = {"p01": np.where(blue["p01"], 200, 50), "p02": np.where(blue["p02"], 120, 90)}
    shelf, images = shelf_of(discs, tmp_path / "run", levels)

    def tau(text: str) -> float:
        return threshold_of(tmp_path / "run", images, shelf, text, masks).value

    assert tau("few:p01") == level_threshold(50)
    assert tau("few:p02") == tau("few: p01, p02") == level_threshold(90)
    complaint(lambda: tau("few:p01,p99"), "few:p01,p99")
    complaint(lambda: tau("few:p01,p03"), "p03 is not mapped")
    complaint(lambda: tau("few:p03"), "beyondcam map")
    assert tau("few:p02,p02,p02,p01") == tau("few:p01,p02")
    for mask, what in (
        (torch.zeros(48, 48), "no object in these masks"),
        (torch.full((48, 48), VOID), "no object in these masks"),
        (torch.zeros(9, 9), "p01"),
    ):
        own = Masks(images.classes, lambda _, mask=mask: mask.byte())
        complaint(lambda own=own: threshold_of(tmp_path / "run", images, shelf, "few:p01", own), what)


def test_a_threshold_of_a_rule_is_the_one_answer_that_the_split_may_take(discs: str, tmp_path: Path) -> None:
    shelf, images = shelf_of(discs, tmp_path, {})

    def tau(rule: str, *rows: tuple[str, str, float]) -> float:
        facts = {key: shelf.manifest[key] for key in ("recipe_hash", "checkpoint")}
        write_records(tmp_path / "scores.json", [
            score_row(
                "cam", 0.5, rule, recipe=shelf.name, data=images.data, split=split, threshold=value,
                chosen_on={"split": on} if on else None, **facts,
            )
            for split, on, value in rows
        ])  # fmt: skip
        return threshold_of(tmp_path, images, shelf, rule).value

    assert tau("train", ("val", "train", 0.25), ("other", "train", 0.25)) == 0.25
    assert tau("train", ("val", "train", 0.25), ("train", "all", 0.5)) == 0.25  # the other saw these masks
    complaint(lambda: tau("train", ("train", "all", 0.5)), "no such row of own that split all may take")
    complaint(lambda: tau("train", ("val", "", 0.5)), "no such row")  # of an older version
    complaint(lambda: tau("train", ("val", "train", 0.25), ("val", "part", 0.5)), "0.250 of split train, τ")
    assert tau("few", ("val", "all", 0.5)) == 0.5
    assert tau("oracle", ("val", "", 0.25), ("all", "", 0.5)) == 0.5


def test_a_photo_whose_labels_have_changed_has_no_say_in_tau(small: SmallRun) -> None:
    small.put("crops", winners(SEED))
    small.agree(winners(SEED))
    rules = "blind", "adaptive"

    def chosen() -> list[Threshold]:
        images = small.images()
        shelf = find_shelf(small.run, images, "crops")
        return [threshold_of(small.run, images, shelf, rule) for rule in rules]

    before = chosen()
    table = small.root / "labels.csv"
    table.write_text(table.read_text().replace("a,cat;dog", "a,cat"))
    assert chosen() == before  # the other two are as it was
