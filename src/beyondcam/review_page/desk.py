"""What the page is told, and what it may say, whatever carries it."""

from colorsys import hls_to_rgb
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict, Field

from beyondcam.data import LabelledImages
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Shelf, Threshold
from beyondcam.evidence.levels import content_of
from beyondcam.files import locked, writing
from beyondcam.label_images import encoded
from beyondcam.outcome import Outcome
from beyondcam.progress import each
from beyondcam.reviews import Decision, Reviews
from beyondcam.seeds import found_in, labels_at, levels_of, seed_labels

LETTERS = {"accepted": "a", "corrected": "c", "rejected": "r", "skipped": "s"}
"""Of the states of images in `Desk.news`, where `-` is one that nothing was decided about."""


class DecidedElsewhereError(BeyondcamError):
    """The page has not shown the last decision on an image."""


class Asked(BaseModel):
    """A decision as the page sends it.

    Attributes
    ----------
    image : its number in the list.
    state : what is decided; `kept` leaves the mask as it was accepted or corrected.
    levels : class → level, of those that are switched on.
    seen : the key of the decision on this image that the page has shown; None for none.

    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: int
    state: Literal["accepted", "rejected", "skipped", "kept"]
    levels: dict[str, Annotated[int, Field(ge=0, le=255)]]
    seen: str | None


@dataclass(frozen=True)
class Desk:
    """The masks of a split, to be decided about one by one.

    Attributes
    ----------
    images, shelf, threshold : where the masks come from until somebody decides otherwise.
    reviews : where decisions are kept.
    who : whose decisions.
    order : image → how far its mask can be trusted, the worst first; None where nothing says so.

    """

    images: LabelledImages
    shelf: Shelf
    threshold: Threshold
    reviews: Reviews
    who: str
    order: dict[str, float | None]

    def id_of(self, number: int) -> str:
        """The id of an image by its number in the list. Raises `BeyondcamError`."""
        if not 0 <= number < len(self.order):
            raise BeyondcamError(f"there is no image {number}")
        return list(self.order)[number]

    def listing(self) -> dict[str, Any]:
        """All that the page shows beside the photo."""
        numbers = {i: n for n, i in enumerate(self.order)}
        own = [d for d in self.reviews.current().values() if d.who == self.who and d.state != "corrected"]
        return {
            "title": f"Masks of {self.shelf.name}, {self.images.split}",
            "classes": [{"name": name, "colour": _bright(k)} for k, name in enumerate(self.images.classes)],
            "images": [{"id": i, "trust": trust} for i, trust in self.order.items()],
            "history": [(numbers[d.image], d.key) for d in own if d.image in numbers],
            **self.news(),
        }

    def news(self) -> dict[str, str]:
        """The state of every image, a letter each, as it is on disk now."""
        current = self.reviews.current()
        return {"states": "".join(LETTERS[current[i].state] if i in current else "-" for i in self.order)}

    def facts(self, number: int) -> dict[str, Any]:
        """What there is to an image beside photo and evidence: levels, classes, the decision on it."""
        image_id = self.id_of(number)
        evidence, decision = self.shelf.read(image_id), self.reviews.current().get(image_id)
        # at the full size of a camera's photo this would take long, for hardly another level
        small = replace(evidence, size=evidence.levels.shape[1:])
        suggested = levels_of(small, self.threshold)
        left = decision if decision and decision.recipe == self.shelf.name else None
        targets = [
            {
                "class": target,
                "suggested": suggested[target],
                "level": left.levels.get(name, suggested[target]) if left else suggested[target],
                "on": not (left and name in left.off),
            }
            for target, name in self._targets(evidence.targets)
        ]
        return {
            "shape": evidence.levels.shape,
            "targets": targets,
            "decision": decision
            and decision.model_dump(mode="json", include={"key", "state", "who", "when", "mask"}),
        }

    def photo(self, number: int) -> bytes:
        """The photo as the network's side of the package sees it, upright: a JPEG."""
        pixels = self.images.read(self.id_of(number)).pixels.permute(1, 2, 0)
        return encoded(Image.fromarray(pixels.numpy()), "JPEG", quality=92, subsampling=0)

    def evidence(self, number: int) -> bytes:
        """The evidence as it is stored, a grey PNG of the targets' levels one below the other."""
        return content_of(self.shelf.path(self.id_of(number)))

    def mask(self, number: int) -> bytes:
        """The mask that was accepted or corrected, a grey PNG of its labels at the size of the evidence."""
        image_id = self.id_of(number)
        decision = self.reviews.current().get(image_id)
        if decision is None:
            raise BeyondcamError(f"{image_id}: nobody has decided about it")
        _, height, width = self.shelf.read(image_id).levels.shape
        mask = Image.fromarray(self.reviews.read(decision))
        return encoded(mask.resize((width, height), Image.Resampling.NEAREST), "PNG")

    def decide(self, asked: Asked) -> dict[str, str]:
        """Record a decision. Raises `BeyondcamError`, a `DecidedElsewhereError` where the page is behind."""
        folder = self.reviews.folder
        with writing(folder), locked(folder):  # or two windows at once would both find nothing decided
            return self._decide(asked)

    def _decide(self, asked: Asked) -> dict[str, str]:
        image_id = self.id_of(asked.image)
        standing = self.reviews.current().get(image_id)
        if (standing and standing.key) != asked.seen:
            raise DecidedElsewhereError(f"{image_id}: {_since(standing)}; look again")
        if asked.state == "kept":
            if standing is None or standing.mask is None:
                raise BeyondcamError(f"{image_id}: has no mask to keep")
            return {"key": standing.key, **self.news()}
        evidence = self.shelf.read(image_id)
        named = {name: t for t, name in self._targets(evidence.targets)}
        if unknown := asked.levels.keys() - named.keys():
            raise BeyondcamError(f"{image_id}: has no evidence of {min(unknown)}")
        mask = None
        if asked.state == "accepted":
            mask = labels_at(evidence, {named[name]: level for name, level in asked.levels.items()})
        made = self.reviews.decide(
            image_id, asked.state, self.who, mask=mask, recipe=self.shelf.name, levels=asked.levels,
            off=tuple(name for name in named if name not in asked.levels),
        )  # fmt: skip
        return {"key": made.key, **self.news()}

    def undo(self, key: str) -> dict[str, str]:
        """Take a decision back. Raises `BeyondcamError`."""
        self.reviews.undo(key, self.who)
        return self.news()

    def _targets(self, targets: tuple[int, ...]) -> list[tuple[int, str]]:
        return [(t, self.images.classes[t]) for t in targets]


def _bright(k: int) -> list[int]:
    """The colour of the k-th class on the page; those of the palette are too dark over a photo."""
    return [round(255 * part) for part in hls_to_rgb((0.94 + k * 0.618) % 1, 0.6, 0.95)]


def _since(standing: Decision | None) -> str:
    if standing is None:
        return "the decision on it was taken back elsewhere"
    return f"{standing.state} elsewhere, by {standing.who}"


def worst_first(
    images: LabelledImages, shelf: Shelf, threshold: Threshold, second: tuple[Shelf, Threshold] | None
) -> Outcome[float | None]:
    """How far each image's seed can be trusted, the least first; left out are images without evidence.

    That is the mean confidence of its classes (see `seeds.confidence.found_in`); without a `second` recipe
    the classifier's mean probability of these classes; None, which comes last, where there is none of them.
    """

    def trust(image_id: str) -> float | None:
        evidence = shelf.read(image_id)
        if second is None:
            known = [1 / (1 + np.exp(-score)) for score in evidence.scores]
        else:
            seed, other = seed_labels(evidence, threshold), (second[0].read(image_id), second[1])
            known = [found.confidence for found in found_in(seed, evidence, other)]
        return float(np.mean(known)) if known else None

    outcome = Outcome.of(each(trust, images.ids, "worst first"))
    ordered = sorted(outcome.results.items(), key=lambda item: (item[1] is None, item[1] or 0.0, item[0]))
    return Outcome(dict(ordered), outcome.left_out)
