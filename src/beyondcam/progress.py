"""Progress bars, on stderr, so that stdout stays a table."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from beyondcam.devices import processes
from beyondcam.errors import printable

T = TypeVar("T")


def track(items: Iterable[T], description: str, total: int) -> Iterator[T]:
    """Iterate with a progress bar, where stderr is a terminal; of several processes the first shows one."""
    text = TextColumn("{task.description}", markup=False)
    console = Console(stderr=True)
    rank, _ = processes()
    with Progress(
        text, BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
        console=console, disable=rank > 0 or not console.is_terminal,
    ) as bar:  # fmt: skip
        yield from bar.track(items, total=total, description=printable(description))
