"""What the benchmarks share: ratios of times on a clock that the test turns, and sections of a page."""

from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

import results
from rows import score_row
from segment import Taught, correlations, over_seeds
from timing import PAIRS, Ratio, ratio


class Clock:
    """Stands still but for the work that is called, whose durations are given."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, *durations: float) -> Callable[[], None]:
        turns = cycle(durations)

        def call() -> None:
            self.calls.append(name)
            self.now += next(turns)

        return call


def test_ratio_goes_on_until_the_interval_is_on_one_side_of_the_bar() -> None:
    """Durations that alternate by 6 %: narrow after 8 pairs, but 1.03 lies within until many more."""

    def measured(bar: float | None) -> Ratio:
        clock = Clock()
        a, b = clock.work("a", 1.0, 1.06, 1.03), clock.work("b", 1.0)
        return ratio(a, b, seconds=1000, bar=bar, clock=clock)

    free, far, near = measured(None), measured(1.2), measured(1.035)
    assert (free.pairs, far.pairs) == (PAIRS, PAIRS)
    assert free.low < 1.035 < free.high
    assert near.pairs > PAIRS
    assert near.settled
    assert near.high < 1.035


def test_ratio_of_steady_work_is_exact_after_a_few_pairs_and_settled() -> None:
    clock = Clock()
    found = ratio(clock.work("a", 6), clock.work("b", 2), seconds=1, clock=clock)
    assert (found.value, found.low, found.high) == pytest.approx((3, 3, 3))
    assert (found.pairs, found.settled) == (PAIRS, True)
    assert "".join(clock.calls) == "ab" + "abba" * (
        PAIRS // 2
    )  # the warm-up, then each first in every other pair


def test_ratio_that_does_not_settle_ends_when_time_is_up_and_gives_student_s_interval() -> None:
    clock = Clock()
    # a's warm-up takes 100; then it takes 1 and 4 by turns, b always 1
    durations = [100.0, *([1.0, 4.0] * 50)]
    found = ratio(clock.work("a", *durations), clock.work("b", 1), seconds=128, clock=clock)
    assert not found.settled
    assert found.pairs == 8  # 101 s of warm-up, then 7 s in every two pairs
    logs = np.log([1, 4] * 4)
    low, high = stats.t.interval(0.95, 7, logs.mean(), logs.std(ddof=1) / np.sqrt(8))
    assert (found.value, found.low, found.high) == pytest.approx((2, np.exp(low), np.exp(high)))
    assert "time was up" in str(found)


def test_ratio_has_a_few_pairs_even_when_time_is_up_before() -> None:
    clock = Clock()
    assert ratio(clock.work("a", 1, 5), clock.work("b", 1), seconds=0, clock=clock).pairs == PAIRS


def test_ratio_settles_at_the_tolerance_asked_for() -> None:
    pairs = []
    for tolerance in (0.03, 0.1):
        clock = Clock()
        work = clock.work("a", 1.0, 1.1), clock.work("b", 1)
        found = ratio(*work, seconds=1e6, tolerance=tolerance, clock=clock)
        assert found.settled
        assert found.high / found.value - 1 <= tolerance
        pairs.append(found.pairs)
    assert pairs[0] > pairs[1]


@pytest.mark.parametrize(
    ("low", "high", "at_most", "at_least"),
    [(1.0, 1.1, "met", "undecided"), (1.04, 1.2, "undecided", "undecided"), (1.16, 1.2, "missed", "met")],
)
def test_bar_is_decided_only_where_the_whole_interval_is_on_one_side(
    low: float, high: float, at_most: str, at_least: str
) -> None:
    found = Ratio(low, low, high, PAIRS, settled=True)
    assert found.judged(at_most=1.15) == f"≤ 1.15: {at_most}"
    assert found.judged(at_least=1.05) == f"≥ 1.05: {at_least}"


def test_section_is_on_its_page_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DOCS", tmp_path)
    monkeypatch.setattr(results, "_commit", lambda: "0123abc")
    results.write_section("score", "Scoring", "python x.py", "old")
    for body in ("old", "new"):
        results.write_section("score", "Scoring", "python x.py", body, page="performance")
    results.write_section("other", "Other", "python y.py", "more", page="performance")
    text = (tmp_path / "performance.md").read_text()
    assert text.startswith(
        "# Performance\n\nEach ratio of times is of two things measured in interleaved pairs"
    )
    assert "old" not in text
    assert text.index("new") < text.index("## Other\n\nMade by `python y.py` at commit 0123abc.\n\nmore")
    assert "old" in (tmp_path / "results.md").read_text()


def test_the_interval_over_training_seeds_holds_every_mean_of_networks_drawn() -> None:
    samples = np.array([[0.2] * 2001, [0.6] * 2001])
    drawn = over_seeds(samples)
    assert drawn[0] == pytest.approx(0.4)
    values, counts = np.unique(drawn[1:].round(9), return_counts=True)
    np.testing.assert_allclose(values, [0.2, 0.4, 0.6])
    np.testing.assert_allclose(counts / 2000, [0.25, 0.5, 0.25], atol=0.04)
    alone = np.random.default_rng(0).random((1, 50))
    np.testing.assert_array_equal(over_seeds(alone), alone[0])


def test_what_predicts_the_final_miou_is_a_rank_correlation_over_the_rows() -> None:
    rows = [
        Taught(
            str(n),
            score_row("cam", m, metrics={"miou": m, "ndr_recall": r, "fg_precision": p}),
            0.1,
            0.0,
            [],
        )
        for n, (m, r, p) in enumerate([(0.1, 0.9, 0.5), (0.2, 0.5, 0.7), (0.3, 0.1, 0.6)])
    ]
    final = [np.array([0.3, 0.5]), np.array([0.4, 0.4]), np.array([0.5, 0.3])]
    found = correlations(rows, final)
    np.testing.assert_allclose(found["miou"], [1, -1])
    np.testing.assert_allclose(found["ndr_recall"], [-1, 1])
    np.testing.assert_allclose(found["fg_precision"], [0.5, -0.5])
