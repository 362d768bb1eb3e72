"""Resamples and intervals."""

import numpy as np
import pytest

from beyondcam.metrics.bootstrap import RESAMPLES, holm, interval, p_value, sample_weights


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


def test_p_value_is_twice_the_share_of_resamples_on_the_other_side_of_0() -> None:
    resamples = np.concatenate([np.full(12, -0.1), np.full(987, 0.1)])  # 999: with the full sample 1,000
    assert p_value(np.concatenate([[0.08], resamples])) == pytest.approx(2 * 13 / 1000)
    assert p_value(np.concatenate([[-0.08], -resamples])) == pytest.approx(2 * 13 / 1000)
    assert p_value(np.full(1000, 0.3)) == pytest.approx(2 / 1000)
    assert p_value(np.zeros(1000)) == 1


def test_holm_by_hand() -> None:
    """0.01 · 4, 0.02 · 3, then 0.025 · 2 = 0.05, which may not be less than 0.06 before it, and 0.5 · 1."""
    found = holm({"a": 0.5, "b": 0.01, "c": 0.025, "d": 0.02})
    assert found == pytest.approx({"b": 0.04, "d": 0.06, "c": 0.06, "a": 0.5})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1, "b": 1}
