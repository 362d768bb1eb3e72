"""Progress, on stderr, so that stdout stays a table: a bar on a terminal, elsewhere a line a minute."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from beyondcam.devices import processes
from beyondcam.errors import printable
from beyondcam.outcome import LeftOut, attempts

T = TypeVar("T")
R = TypeVar("R")

Log = Callable[[str], None]
"""Takes messages for people."""

EVERY = 60.0
"""Seconds between two lines."""


def each(
    function: Callable[[str], R], ids: Sequence[str], description: str
) -> Iterator[tuple[str, R | LeftOut]]:
    """Each id with what a function makes of it, in threads and ahead of need; `track` shows how far it is.

    Where the function raises `BeyondcamError`, that is why the id is left out.
    """
    return track(attempts(function, ids), description, len(ids))


def track(items: Iterable[T], description: str, total: int, later: int = 0) -> Iterator[T]:
    """Iterate and show how far it is; of several processes the first does.

    `later` is how many items of further rounds follow these `total`, for the time that is left.
    """
    rank, _ = processes()
    console = Console(stderr=True)
    if rank > 0:
        yield from items
    elif not console.is_terminal:
        yield from _told(items, description, total, later)
    else:
        text = TextColumn("{task.description}", markup=False)
        with Progress(text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=console) as bar:
            yield from bar.track(items, total=total, description=printable(description))


def _told(items: Iterable[T], description: str, total: int, later: int) -> Iterator[T]:
    """Iterate with a line a minute, whose time left is by the pace since the last one.

    The first item counts for no pace, since it waits for threads and processes to start.
    """
    before, since = 0, 0.0
    told = time.monotonic()
    for done, item in enumerate(items):
        now = time.monotonic()
        due = done > 0 and now - told >= EVERY
        if due:
            line = f"{description}: {done} of {total}"
            if before:
                left = (now - since) / (done - before) * (total - done + later)
                line += f", about {duration(left)} left"
            with suppress(OSError):  # of a pipe that nobody reads any more
                print(printable(line), file=sys.stderr, flush=True)  # noqa: T201
            told = now
        if due or done == 1:
            before, since = done, now
        yield item


def duration(seconds: float) -> str:
    """A length of time for people.

    >>> duration(40), duration(700), duration(9000)
    ('40 s', '12 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
