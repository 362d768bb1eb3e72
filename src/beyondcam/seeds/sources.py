"""The label image of each photo: a human's mask, else its seed."""

from beyondcam.data import LabelledImages
from beyondcam.evidence import Evidence, Shelf, Threshold
from beyondcam.formats import Labelled
from beyondcam.reviews import Reviews
from beyondcam.seeds.labels import seed_labels


class SeedsAndMasks:
    """The label images of a split: masks that a human accepted or corrected, and seeds of all other photos.

    Parameters
    ----------
    images, shelf, threshold, band : what seeds are made of, as for `seed_labels`.
    reviews : the decisions on the images, which are read once; None for seeds alone.

    Attributes
    ----------
    decisions : by image, whatever they say.
    masked : those that have a mask, in the order of the split.

    """

    def __init__(
        self,
        images: LabelledImages,
        shelf: Shelf,
        threshold: float | Threshold,
        reviews: Reviews | None,
        band: float = 0.0,
    ) -> None:
        self.shelf, self.threshold, self.reviews, self.band = shelf, threshold, reviews, band
        self.decisions = reviews.current() if reviews else {}
        self.masked = {i: d for i in images.ids if (d := self.decisions.get(i)) and d.mask}

    def read(self, image_id: str) -> tuple[Labelled, Evidence | None]:
        """An image's mask or seed, and the evidence of a seed. Raises `BeyondcamError`."""
        if self.reviews and (decision := self.masked.get(image_id)):
            return Labelled(image_id, self.reviews.read(decision), decision.facts), None
        evidence = self.shelf.read(image_id)
        return Labelled(image_id, seed_labels(evidence, self.threshold, self.band), {}), evidence
