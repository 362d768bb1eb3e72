"""Time and memory: how many times as long one thing takes as another, measured turn by turn."""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

PAIRS = 8
"""The fewest pairs that an interval is worked out from."""


@dataclass(frozen=True)
class Ratio:
    """The geometric mean of a's time over b's, its 95 % interval, and whether that became narrow enough."""

    value: float
    low: float
    high: float
    pairs: int
    settled: bool

    def judged(self, *, at_most: float | None = None, at_least: float | None = None) -> str:
        """The bar, and whether the interval lies wholly on its good side or its bad one."""
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
    """Time a and b in pairs, each first in every other pair, after one call of each that is not counted.

    It ends when both ends of the interval are within `tolerance` of the value and on one side of the `bar`,
    or when `seconds` are up and there are `PAIRS` pairs. (Looking after every pair whether to go on makes an
    interval a little too narrow.) `timed` says how long a call takes, the clock unless it is given.
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
        if len(logs) < PAIRS:
            continue
        value, low, high = geometric_mean(logs)
        settled = high / value - 1 <= tolerance and (bar is None or not low < bar < high)
        if settled or clock() >= end:
            return Ratio(value, low, high, len(logs), settled)


def geometric_mean(logs: Sequence[float]) -> tuple[float, float, float]:
    """The geometric mean of numbers whose logarithms are given, and Student's 95 % interval."""
    half = stats.t.ppf(0.975, len(logs) - 1) * stats.sem(logs)
    value, low, high = (float(np.exp(np.mean(logs) + d)) for d in (0, -half, half))
    return value, low, high


def seconds_of(work: Callable[[], object]) -> float:
    """The shorter of two runs, after one that is not counted."""
    work()
    times = []
    for _ in range(2):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def resident() -> float:
    """The most memory that this process has held since `forget_peak`, MB.

    On Linux; `getrusage` would count its parent's too.
    """
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def forget_peak() -> None:
    """Have `resident` start anew from what is held now."""
    Path("/proc/self/clear_refs").write_text("5")


def printed(script: str, *words: object) -> float:
    """The number that a script, run in a process of its own, prints."""
    command = [sys.executable, script, *map(str, words)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
