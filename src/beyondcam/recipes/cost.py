"""What maps cost, and which work recipes share."""

from collections import defaultdict
from dataclasses import dataclass
from operator import add
from typing import Literal, NamedTuple

from beyondcam.maps import Map
from beyondcam.perturbations import Perturbation
from beyondcam.recipes.recipe import Source


@dataclass(frozen=True)
class Cost:
    """Passes through the network, the megapixels of their inputs, and seconds of work."""

    forward: int = 0
    backward: int = 0
    megapixels: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(*map(add, vars(self).values(), vars(other).values()))

    def __mul__(self, times: int) -> "Cost":
        return Cost(*(times * part for part in vars(self).values()))


class Work(NamedTuple):
    """Work on an image that several recipes may share: its cost is counted in full for each of them.

    "forward" is passes over the views of a perturbation, "map" is a map of each view, "mean" is weighing and
    averaging these for one source, "affinities" are those of the one view, "targets" is finding out an
    image's targets where they were not given.
    """

    kind: Literal["forward", "map", "mean", "affinities", "targets"]
    perturbation: Perturbation | None = None
    map: Map | None = None
    source: Source | None = None


Ledger = defaultdict[Work, Cost]
"""What was done for one image, and its cost."""
