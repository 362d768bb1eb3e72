"""One pass over a split: each image's mask and evidence is read once, counted, and added up by recipe."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.evidence import (
    LEVELS,
    Evidence,
    Shelf,
    Threshold,
    winners_of,
)
from beyondcam.metrics.consensus import Consensus
from beyondcam.metrics.metric import Pixels
from beyondcam.metrics.regions import joint_levels, region_levels, right_levels
from beyondcam.metrics.rows import Shown
from beyondcam.metrics.tally import Absent, Counts, FallSweep, ImageTally, Sweep, resampled
from beyondcam.outcome import LeftOut
from beyondcam.progress import each


def mapped_in_full(
    recipes: Sequence[Shelf], images: LabelledImages
) -> tuple[list[str], list[Shelf], list[tuple[Shelf, str]]]:
    """The ids that any recipe has evidence of, the recipes that have it of all these, and the others, why."""
    mapped = [{i for i in images.ids if shelf.path(i).exists()} for shelf in recipes]
    any_has = set().union(*mapped)
    complete, lacking = [], []
    for shelf, ids in zip(recipes, mapped, strict=True):
        if ids and ids == any_has:
            complete.append(shelf)
        elif any_has:
            missing = f"{len(any_has) - len(ids)} of {len(any_has)} images of split {images.split}"
            lacking.append((shelf, f"{missing} are not mapped; run `beyondcam map` again"))
        else:
            lacking.append((shelf, f"no image of split {images.split} is mapped yet; run `beyondcam map`"))
    return [i for i in images.ids if i in any_has], complete, lacking


class RecipeLook(NamedTuple):
    """One recipe's evidence of one image."""

    tally: ImageTally  # counted against the mask
    agreeing: ImageTally | None  # counted against what the witnesses agree on, if there are any
    right: list[NDArray[np.uint8]]  # of each class that the mask shows, as `right_levels` has them
    uncovered: float  # share of the pixels that no view covered


@dataclass(frozen=True)
class Look:
    """An image's mask (H, W), what the witnesses agree on there, and the recipes read so far."""

    mask: NDArray[np.uint8]
    agreed: NDArray[np.uint8] | None
    recipes: tuple[RecipeLook, ...] = ()

    def with_evidence(self, evidence: Evidence) -> "Look":
        """The look with one more recipe."""
        winners = winners_of(evidence)
        agreeing = None if self.agreed is None else ImageTally.of(winners, self.agreed)
        tally = ImageTally.of(winners, self.mask)
        right = right_levels(winners, self.mask, tally.shown)
        look = RecipeLook(tally, agreeing, right, evidence.uncovered)
        return replace(self, recipes=(*self.recipes, look))

    @property
    def nbytes(self) -> int:
        """The memory of its pixels."""
        agreed = () if self.agreed is None else (self.agreed,)
        kept = (pixels for recipe in self.recipes for pixels in recipe.right)
        return sum(pixels.nbytes for pixels in (self.mask, *agreed, *kept))


def look_at(
    ids: Sequence[str],
    shelves: Sequence[Shelf],
    masks: Masks,
    agreed: Consensus | None = None,
    *,
    begun: Mapping[str, Look] | None = None,
    label: str,
) -> Iterator[tuple[str, Look | LeftOut]]:
    """Look at images with the evidence of every shelf; `label` is that of the progress bar.

    An image is left out where its mask, or its evidence of any recipe, cannot be read. `begun` has looks at
    the first few shelves, which are not read again.
    """

    def read(image_id: str) -> Look:
        look = begun.get(image_id) if begun else None
        if look is None:
            evidence = shelves[0].read(image_id)
            mask = masks.truth(image_id, evidence.size)
            look = Look(mask, agreed.truth(image_id, evidence.size) if agreed else None)
            look = look.with_evidence(evidence)
        for shelf in shelves[len(look.recipes) :]:
            look = look.with_evidence(shelf.read(image_id))
        return look

    return each(read, ids, label)


class RecipeCounts:
    """What a pass leaves of a recipe: small counts of each image, and sums over all of them."""

    def __init__(self, shelf: Shelf, classes: int) -> None:
        self.shelf = shelf
        self.scored, self.agreed = Sweep.of((), classes), Sweep.of((), classes)  # as tally and agreeing are
        self.falls = FallSweep.of((), classes)  # of agreeing
        self.images: dict[str, ImageTally] = {}
        self.uncovered: list[float] = []
        self.regions = defaultdict[str, list[Counts]](list)  # by rule: of each image, see `region_levels`
        self.joint = np.zeros((LEVELS, LEVELS), np.int64)  # as `joint_levels` has it, of all classes

    def add(self, image_id: str, look: RecipeLook) -> None:
        """Add an image."""
        self.images[image_id] = look.tally
        self.uncovered.append(look.uncovered)
        self.scored.add(look.tally)
        if look.agreeing is not None:
            self.add_agreeing(look.agreeing)

    def add_agreeing(self, tally: ImageTally) -> None:
        """Add an image's counts against what the witnesses agree on."""
        self.agreed.add(tally)
        self.falls.add(tally)

    def add_regions(
        self, look: RecipeLook, reference: RecipeLook, thresholds: Mapping[str, Threshold]
    ) -> None:
        """Add an image's discriminative regions; `thresholds` are the reference's, by rule."""
        joint = joint_levels(look.right, reference.right)
        self.joint += joint.sum(0)
        for rule, threshold in thresholds.items():
            levels = reference.tally.levels_of_shown(threshold.levels(reference.tally.won))
            self.regions[rule].append(region_levels(joint, levels))

    def shown(self) -> list[Shown]:
        """How much the masks show of each class."""
        areas = defaultdict[int, list[float]](list)  # by label, its share of the pixels where it is shown
        for tally in self.images.values():
            pixels = tally.counts.sum((1, 2))  # (t,)
            for label, area in zip(tally.truths.tolist(), pixels / pixels.sum(), strict=True):
                areas[label].append(float(area))
        by_class = [areas[label] for label in range(1, len(self.scored.true))]
        return [Shown(images=len(some), area=float(np.median(some)) if some else None) for some in by_class]

    def pixels(
        self, thresholds: Mapping[str, Threshold], weights: Counts, absent: Absent
    ) -> dict[str, Pixels]:
        """Pixels under each rule; `weights` (samples, images) is how often an image counts in each sample."""
        classes = len(self.scored.true) - 1
        counted = np.empty((len(thresholds), len(self.images), 3, classes + 1), np.int64)
        right = defaultdict[str, list[int]](list)  # by rule: of each image, its pixels in DR
        for n, tally in enumerate(self.images.values()):
            levels = {rule: threshold.levels(tally.won) for rule, threshold in thresholds.items()}
            counted[:, n] = tally.at(np.stack([*levels.values()]), classes)
            for rule in levels.keys() & self.regions.keys():
                inside = zip(self.regions[rule][n], tally.levels_of_shown(levels[rule]), strict=True)
                right[rule].append(sum(pixels[level + 1 :].sum() for pixels, level in inside))
        found = {}
        for rule, by_image in zip(thresholds, counted, strict=True):
            regions = None
            if rule in right:
                whole = [pixels.sum() for pixels in self.regions[rule]]
                regions = weights @ np.array(right[rule]), weights @ np.array(whole)
            found[rule] = Pixels(*resampled(by_image, weights), regions, absent)
        return found
