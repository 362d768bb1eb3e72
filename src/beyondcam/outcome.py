"""What came out of a job over many inputs, and which inputs were left out of it, with the reason."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from beyondcam.errors import BeyondcamError, NoRoomError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class LeftOut:
    """An input without a result, and why it has none."""

    reason: str


def attempt(function: Callable[[T], R]) -> Callable[[T], R | LeftOut]:
    """The same function, which returns a `LeftOut` where it raises `BeyondcamError`, but for `NoRoomError`.

    Where one result cannot be written for lack of room, no other can be.
    """

    def attempted(item: T) -> R | LeftOut:
        try:
            return function(item)
        except NoRoomError:
            raise
        except BeyondcamError as error:
            return LeftOut(str(error))

    return attempted


def ahead(function: Callable[[T], R], items: Iterable[T], *, threads: int = 2) -> Iterator[R]:
    """`map`, with the next few results computed in threads; order and results are those of `map`."""
    items = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(function, item) for item in islice(items, 2 * threads)]
        while waiting:
            result = waiting.pop(0).result()
            waiting.extend(pool.submit(function, item) for item in islice(items, 1))
            yield result


def attempts(
    function: Callable[[T], R], items: Sequence[T], *, threads: int = 2
) -> Iterator[tuple[T, R | LeftOut]]:
    """Each item with what a function makes of it, or why it makes nothing; computed `ahead`."""
    return zip(items, ahead(attempt(function), items, threads=threads), strict=True)


@dataclass(frozen=True)
class Outcome(Generic[R]):
    """The results of many inputs by id, in their order, and the reason for each input without one."""

    results: dict[str, R] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, outcomes: Iterable[tuple[str, R | LeftOut]]) -> "Outcome[R]":
        """Part the results from what was left out.

        >>> Outcome.of([("a", 1), ("b", LeftOut("no such image"))])
        Outcome(results={'a': 1}, left_out={'b': 'no such image'})
        """
        parted = cls()
        for image_id, outcome in outcomes:
            if isinstance(outcome, LeftOut):
                parted.left_out[image_id] = outcome.reason
            else:
                parted.results[image_id] = outcome
        return parted
