"""Score label images: a prediction has no threshold, so an image is one small table of counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.files import ahead
from beyondcam.metrics.bootstrap import sample_weights
from beyondcam.metrics.tally import Counts, iou, resampled_miou
from beyondcam.progress import track


@dataclass(frozen=True)
class LabelCounts:
    """Counts of some images, from which their mIoU and its resamples are worked out.

    Attributes
    ----------
    ids : the images.
    counts : (images, 3, classes + 1), intersection, predicted and true pixels of background and each class.

    """

    ids: tuple[str, ...]
    counts: Counts

    def by_class(self) -> NDArray[np.float64]:
        """IoU of background and each class: (classes + 1,)."""
        return iou(*self.counts.sum(0))


def count_labels(prediction: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int) -> Counts:
    """Intersection, predicted and true pixels of background and each class: (3, classes + 1).

    Pixels that are void in the truth count nowhere; void in the prediction is no label.
    """
    known = truth != VOID
    hit = known & (prediction == truth)
    parts = truth[hit], prediction[known], truth[known]
    return np.stack([np.bincount(part, minlength=VOID + 1)[: classes + 1] for part in parts])


def score_labels(
    predicted: Callable[[str], NDArray[np.uint8]], ids: Sequence[str], masks: Masks, left_out: dict[str, str]
) -> LabelCounts:
    """Count each image's prediction against its mask; what cannot be read goes to `left_out`."""

    def count(image_id: str) -> Counts | str:
        try:
            prediction = predicted(image_id)
            truth = masks.truth(image_id, prediction.shape)
        except BeyondcamError as error:
            return str(error)
        return count_labels(prediction, truth, len(masks.classes))

    found = {}
    for i, counts in zip(ids, track(ahead(count, ids), "score", len(ids)), strict=True):
        if isinstance(counts, str):
            left_out[i] = counts
        else:
            found[i] = counts
    if not found:
        reason = left_out[ids[0]] if ids else "there is none"
        raise BeyondcamError(f"none of the images can be scored: {reason}")
    return LabelCounts(tuple(found), np.stack(list(found.values())))


def label_mious(scored: Sequence[LabelCounts]) -> NDArray[np.float64]:
    """The mIoU of each, over the images that all of them have: (len(scored), samples).

    The full sample comes first; the resamples are the same for all, so that rows can be compared.
    """
    common = set.intersection(*(set(one.ids) for one in scored))
    shared = [i for i in scored[0].ids if i in common]
    weights = sample_weights(len(shared))
    places = [{i: n for n, i in enumerate(one.ids)} for one in scored]
    return np.stack(
        [
            resampled_miou(one.counts[[place[i] for i in shared]], weights)
            for one, place in zip(scored, places, strict=True)
        ]
    )
