"""Progress bars, on stderr, so that stdout stays a table."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from beyondcam.devices import processes

T = TypeVar("T")


def track(items: Iterable[T], what: str, total: int) -> Iterator[T]:
    """Iterate with a progress bar, where stderr is a terminal; of several processes the first shows one."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    rank, _ = processes()
    with Progress(*columns, console=console, disable=rank > 0 or not console.is_terminal) as bar:
        yield from bar.track(items, total=total, description=what)
