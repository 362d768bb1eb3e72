"""Thresholds on evidence, the adaptive ones against a plain version over sorted pixels."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from beyondcam.evidence import LEVELS, AdaptiveThreshold, Evidence, Threshold, winners_of, won_by
from beyondcam.seeds import seed_labels


def plain(v: NDArray[np.float64]) -> float:
    """The adaptive τ of the pixels that a class wins, step by step."""
    pixels, t = np.sort(v)[::-1], 0.55
    for _ in range(30):
        inside = max(1, int((pixels > t + 1e-9).sum()))
        both = min(len(pixels), max(inside + 1, int(2.5 * inside)))
        around = pixels[inside:both]
        new = (pixels[:inside].mean() + (around.mean() if len(around) else 0)) / 2
        settled = abs(new - t) < 1e-3
        t = new
        if settled:
            break
    return 0.75 * t + 0.25 * 0.7


def evidence_of(*levels: NDArray[np.uint8]) -> Evidence:
    """An image's evidence for the classes 0, 1, …"""
    maps = np.stack(levels)
    return Evidence(maps, tuple(range(len(maps))), (1.0,) * len(maps), (), maps.shape[1:])


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 255), min_size=1, max_size=400))
def test_an_adaptive_threshold_is_that_of_the_sorted_pixels(levels: list[int]) -> None:
    won = np.bincount(levels, minlength=LEVELS)[None]
    (tau,) = AdaptiveThreshold().values(won)
    assert tau == pytest.approx(plain((np.array(levels) / 255) ** 2), abs=1e-9)


def test_the_size_of_a_thing_does_not_move_its_adaptive_threshold() -> None:
    """A disc whose evidence falls off with its own radius, from 0.1 % to 30 % of a picture."""
    ys, xs = np.indices((400, 400)) - 200
    taus, ious = [], []
    for radius in (7, 12, 22, 40, 70, 124):
        distance = np.hypot(ys, xs) / radius
        v = 1 / (1 + np.exp((distance - 1) / 0.15))
        levels = np.rint(np.sqrt(v / v.max()) * 255).astype(np.uint8)
        evidence = evidence_of(levels)
        taus.append(AdaptiveThreshold().values(won_by(winners_of(evidence))[1])[0])
        seed, truth = seed_labels(evidence, AdaptiveThreshold()) == 1, distance <= 1
        ious.append((seed & truth).sum() / (seed | truth).sum())
    assert max(taus) - min(taus) < 0.03  # the smallest disc has 149 pixels
    assert min(ious) > 0.85


def test_every_class_of_an_image_has_its_own_threshold() -> None:
    left, right = np.zeros((20, 40), np.uint8), np.zeros((20, 40), np.uint8)
    left[:, :20], left[5:10, 5:10] = 60, 255  # a small thing, clear of its ground
    right[:, 20:], right[:, 20:36] = 150, 240  # a large one, less so
    labels, won = won_by(winners_of(evidence_of(left, right)))
    assert labels.tolist() == [1, 2]
    taus = AdaptiveThreshold().values(won)
    for tau, own in zip(taus, (left[:, :20], right[:, 20:]), strict=True):
        assert tau == pytest.approx(plain((own.ravel() / 255) ** 2))
    seed = seed_labels(evidence_of(left, right), AdaptiveThreshold())
    assert (seed == 1).sum() == 25
    assert (seed == 2).sum() == 20 * 16


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
    (tau,) = AdaptiveThreshold().values(won_by(winners_of(evidence))[1])
    assert np.array_equal(seed_labels(evidence, AdaptiveThreshold(), 0.1), seed_labels(evidence, tau, 0.1))
