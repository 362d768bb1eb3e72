"""Trainings and images resampled together, against a plain version and by hand."""

from pathlib import Path

import numpy as np
import pytest

from beyondcam.metrics import Sweep, sample_weights, tallies_of
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
        assert found[n] == pytest.approx(Sweep.of(drawn, 2).miou().max())
    assert found[0] == pytest.approx(small.score().row("cam").miou)


def test_the_mean_over_trainings_is_drawn_anew_in_each_resample() -> None:
    mious = np.array([[[0.1] * 400, [0.3] * 400], [[0.2] * 400, [0.6] * 400]])
    low, high = over_trainings(mious)
    assert (low[0], high[0]) == (pytest.approx(0.15), pytest.approx(0.45))
    assert {round(value, 3) for value in low} == {0.1, 0.15, 0.2}
    assert (low == 0.1).mean() == pytest.approx(1 / 4, abs=0.06)  # the first training twice
    np.testing.assert_allclose(high, 3 * low)  # the same draws
