"""What came out of a job over many inputs, and which inputs were left out of it, with the reason."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from beyondcam.errors import BeyondcamError

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class LeftOut:
    """An input without a result, and why it has none."""

    reason: str


def attempt(function: Callable[[T], R]) -> Callable[[T], R | LeftOut]:
    """The same function, which returns a `LeftOut` where it raises `BeyondcamError`."""

    def attempted(item: T) -> R | LeftOut:
        try:
            return function(item)
        except BeyondcamError as error:
            return LeftOut(str(error))

    return attempted


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
