"""Intervals over trainings and images, against a plain version, by hand and by simulation."""

from pathlib import Path

import numpy as np
import pytest

from beyondcam.evidence import winners_of
from beyondcam.metrics import ImageTally, Sweep, resampled_miou, sample_weights, tallies_of
from beyondcam.studies.trainings import best_mious, over_trainings
from small import REFERENCE, SEED, TRUTH, SmallRun, winners


def test_each_resample_has_its_own_best_threshold(tmp_path: Path) -> None:
    small = SmallRun(tmp_path, tuple("abcd"))
    shelf = small.put("cam", winners(SEED, high=200), only="ab")
    small.put("cam", winners(REFERENCE, high=90), only="c")
    small.put("cam", winners(TRUTH % 255, high=150), only="d")
    tallies = list(tallies_of(shelf, small.ids, small.masks()))
    found = best_mious(tallies, 2)
    for n, weights in enumerate(sample_weights(4)[:30]):
        drawn = [tally for tally, times in zip(tallies, weights, strict=True) for _ in range(times)]
        assert found[n] == pytest.approx(
            Sweep.of(drawn, 2).miou().max()
        )  # each shows all that the full one does
    assert found[0] == pytest.approx(small.score().row("cam").miou)


def test_a_class_that_a_resample_does_not_show_has_no_part_in_it(tmp_path: Path) -> None:
    """Of four images one alone shows class 2, which all predict somewhere."""
    small = SmallRun(tmp_path, tuple("abcd"))
    shelf = small.put("cam", winners(SEED, high=200))
    truths = [np.where(TRUTH == 2, 0, TRUTH).astype(np.uint8)] * 3 + [TRUTH]
    tallies = [ImageTally.of(winners_of(shelf.read(i)), t) for i, t in zip("abcd", truths, strict=True)]
    found = best_mious(tallies, 2)
    by_level = [np.stack([tally.at(level, 2) for tally in tallies]) for level in range(256)]
    expected = np.max([resampled_miou(counts, sample_weights(4)) for counts in by_level], 0)
    np.testing.assert_allclose(found, expected)


def test_an_interval_over_trainings_holds_the_mean_of_all_as_often_as_it_says() -> None:
    """Three trainings whose effects are normal, of two recipes; images do not vary."""
    rng, inside = np.random.default_rng(0), 0
    for _ in range(300):
        effects = rng.standard_normal((3, 2))
        first, second = over_trainings(np.repeat(effects[:, :, None], 1001, 2))
        low, high = np.quantile((second - first)[1:], (0.025, 0.975))
        assert (second - first)[0] == pytest.approx((effects[:, 1] - effects[:, 0]).mean())
        inside += low <= 0 <= high
    assert inside / 300 == pytest.approx(0.95, abs=0.03)


def test_where_trainings_agree_the_interval_is_that_of_images() -> None:
    images = np.random.default_rng(0).random((2, 50))
    np.testing.assert_allclose(over_trainings([images, images, images]), images)
    np.testing.assert_allclose(over_trainings([images]), images)
