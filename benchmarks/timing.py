"""Time and memory: ratios of times, measured in interleaved pairs."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

MIN_PAIRS = 8
"""The fewest pairs that an interval is computed from."""


@dataclass(frozen=True)
class Ratio:
    """The geometric mean of time ratios, its 95 % interval, and whether that became narrow enough in time."""

    value: float
    low: float
    high: float
    pairs: int
    settled: bool

    def judged(self, *, at_most: float | None = None, at_least: float | None = None) -> str:
        """The bar, and whether it is met: the whole interval lies on its good side."""
        if at_most is not None:
            met, missed, bar = self.high <= at_most, self.low > at_most, f"≤ {at_most:.3g}"
        else:
            met, missed, bar = self.low >= (at_least or 0), self.high < (at_least or 0), f"≥ {at_least:.3g}"
        return f"{bar}: {'met' if met else 'missed' if missed else 'undecided'}"

    def __str__(self) -> str:
        end = "settled" if self.settled else "time was up"
        return f"{self.value:.3g} [{self.low:.3g}, {self.high:.3g}], {self.pairs} pairs, {end}"


def ratio(
    a: Callable[[], object],
    b: Callable[[], object],
    *,
    seconds: float,
    tolerance: float = 0.03,
    bar: float | None = None,
    clock: Callable[[], float] = time.perf_counter,
    timed: Callable[[Callable[[], Any]], float] | None = None,
) -> Ratio:
    """The time of `a` divided by that of `b`, in pairs of alternating order, after one warm-up call each.

    Measuring ends when both ends of the interval are within `tolerance` of the value and on one side of the
    `bar`, or when `seconds` are over and there are `MIN_PAIRS` pairs. (Deciding after every pair whether to
    go on makes the interval slightly too narrow.) `timed` measures a call, with `clock` by default.
    """

    def by_clock(function: Callable[[], object]) -> float:
        start = clock()
        function()
        return clock() - start

    timed = timed or by_clock
    end = clock() + seconds
    a()
    b()
    logs: list[float] = []
    while True:
        if len(logs) % 2:
            of_b, of_a = timed(b), timed(a)
        else:
            of_a, of_b = timed(a), timed(b)
        logs.append(float(np.log(of_a / of_b)))
        if len(logs) < MIN_PAIRS:
            continue
        value, low, high = geometric_mean(logs)
        settled = high / value - 1 <= tolerance and (bar is None or not low < bar < high)
        if settled or clock() >= end:
            return Ratio(value, low, high, len(logs), settled)


def geometric_mean(logs: Sequence[float]) -> tuple[float, float, float]:
    """The geometric mean of numbers, given their logarithms, and Student's 95 % interval."""
    half = stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs)
    value, low, high = (float(np.exp(np.mean(logs) + d)) for d in (0, -half, half))
    return value, low, high


def seconds_of(work: Callable[[], object]) -> float:
    """The shorter time of two calls, after a warm-up call."""
    work()
    times = []
    for _ in range(2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def resident() -> float:
    """The peak resident memory of this process since `forget_peak`, in MB.

    Linux only; `getrusage` would include the parent process.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def forget_peak() -> None:
    """Reset the peak that `resident` returns to the current memory."""
    Path("/proc/self/clear_refs").write_text("5")


def printed(script: str, *words: object) -> float:
    """The number that a script prints when run in a separate process."""
    command = [sys.executable, script, *map(str, words)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
