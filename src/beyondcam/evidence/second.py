"""A second recipe, whose seeds tell by agreeing how far those of the first can be trusted."""

from pathlib import Path

from beyondcam.data import LabelledImages
from beyondcam.errors import BeyondcamError
from beyondcam.evidence.store import Shelf, shelves

SECOND = ("fast", "best")
"""Recipes whose seeds others are compared with: the first one mapped that is not the seed's own."""


def first_recipe(run: Path, images: LabelledImages) -> str:
    """The recipe whose seeds are meant where nobody names one: `best`, else `fast`, else the only one.

    Where nothing is mapped, `fast`. Raises `BeyondcamError` where there are several others.
    """
    there = sorted({shelf.name for shelf in shelves(run, images)})
    for name in reversed(SECOND):
        if name in there:
            return name
    if len(there) > 1:
        raise BeyondcamError(f"say which of {', '.join(there)}", parameter="recipe")
    return there[0] if there else SECOND[0]


def second_recipe(run: Path, images: LabelledImages, shelf: Shelf) -> Shelf | None:
    """The evidence of another recipe to compare seeds with; None where none of `SECOND` is mapped in full.

    Evidence of labels or photos that have changed since does not count.
    """
    needed = [i for i in images.ids if shelf.path(i).exists()]
    there = {s.name: s for s in shelves(run, images) if s.family == shelf.family}
    others = (there[name] for name in SECOND if name in there and name != shelf.name)
    return next((s for s in others if all(map(s.is_current, needed))), None)
