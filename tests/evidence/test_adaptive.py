"""Thresholds on evidence, the adaptive ones against their definition pixel by pixel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from beyondcam.evidence import LEVELS, AdaptiveThreshold, Evidence, Threshold, winners_of
from beyondcam.seeds import seed_labels


def plain(v: NDArray[np.float64], pixels: int, fall: float = 0.4) -> float:
    """The adaptive τ of a class that wins the pixels with evidence `v` of a picture of so many pixels."""
    area = sum(1 for value in v.ravel() if value > 0.5) / pixels
    return 0.75 - fall * area / (area + 0.2)


def evidence_of(*levels: NDArray[np.uint8]) -> Evidence:
    """An image's evidence for the classes 0, 1, …"""
    maps = np.stack(levels)
    return Evidence(maps, tuple(range(len(maps))), (1.0,) * len(maps), (), maps.shape[1:])


@settings(max_examples=200)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=400), st.sampled_from(AdaptiveThreshold.FALLS))
def test_an_adaptive_threshold_is_that_of_its_definition(levels: list[int], fall: float) -> None:
    won = np.bincount(levels, minlength=LEVELS)[None]
    (tau,) = AdaptiveThreshold(fall=fall).values(won)
    assert tau == pytest.approx(plain((np.array(levels) / 255) ** 2, len(levels), fall), abs=1e-9)


def test_the_larger_the_thing_the_lower_its_threshold() -> None:
    taus = []
    for side in (1, 5, 20, 60, 100):
        levels = np.zeros((100, 100), np.uint8)
        levels[:side, :side] = 255
        taus += AdaptiveThreshold().values(winners_of(evidence_of(levels)).won).tolist()
    assert taus == sorted(taus, reverse=True)
    assert taus[0] == pytest.approx(0.75, abs=1e-3)
    assert taus[-1] == pytest.approx(0.75 - 0.4 / 1.2)


def test_every_class_of_an_image_has_its_own_threshold() -> None:
    left, right = np.zeros((20, 40), np.uint8), np.zeros((20, 40), np.uint8)
    left[:, :20], left[5:10, 5:10] = 60, 255  # a small thing, clear of its ground
    right[:, 20:], right[:, 20:36] = 150, 240  # a large one, less so
    winners = winners_of(evidence_of(left, right))
    assert winners.present.tolist() == [1, 2]
    taus = AdaptiveThreshold().values(winners.won)
    for tau, levels in zip(taus, (left[:, :20], right[:, 20:]), strict=True):
        assert tau == pytest.approx(plain((levels / 255) ** 2, 800))
    seed = seed_labels(evidence_of(left, right), AdaptiveThreshold())
    assert (seed == 1).sum() == 25
    assert (seed == 2).sum() == 20 * 16


def test_levels_rise_with_the_shift() -> None:
    won = np.random.default_rng(0).integers(0, 50, (3, LEVELS))
    by_shift = AdaptiveThreshold.levels_by_fall(won)
    for fall, levels in zip(AdaptiveThreshold.FALLS, by_shift, strict=True):
        assert np.array_equal(levels, AdaptiveThreshold(fall=fall).levels(won))
    assert (np.diff(by_shift, axis=0) > 0).all()


def test_no_evidence_is_background() -> None:
    assert not seed_labels(evidence_of(np.zeros((5, 7), np.uint8)), AdaptiveThreshold()).any()
    empty = Evidence(np.zeros((0, 5, 7), np.uint8), (), (), (), (5, 7))
    assert not seed_labels(empty, AdaptiveThreshold()).any()


def test_a_constant_is_the_same_for_all() -> None:
    won = np.ones((3, LEVELS), np.int64)
    assert Threshold(0.25).values(won).tolist() == [0.25] * 3
    assert Threshold(0.25).levels(won).tolist() == [127] * 3
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.array_equal(seed_labels(evidence_of(ramp), Threshold(0.25)), ramp > 127)


def test_a_band_lies_on_both_sides_of_each_threshold() -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    evidence = evidence_of(ramp)
    (tau,) = AdaptiveThreshold().values(winners_of(evidence).won)
    assert np.array_equal(seed_labels(evidence, AdaptiveThreshold(), 0.1), seed_labels(evidence, tau, 0.1))


def test_a_threshold_that_never_falls_is_said_to_be_one() -> None:
    assert str(AdaptiveThreshold(fall=0.0)) == "0.75 for each image and class"
    assert str(AdaptiveThreshold(fall=0.3)) == "one for each image and class, from 0.75 down by up to 0.3"
