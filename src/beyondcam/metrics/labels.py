"""Scores of label images: a prediction has no threshold, so an image is one small table of counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.metrics.bootstrap import sample_weights
from beyondcam.metrics.tally import Counts, iou, resampled_miou
from beyondcam.outcome import Outcome
from beyondcam.progress import each

Count = Callable[[NDArray[np.uint8], NDArray[np.uint8], int], Counts]
"""A prediction and the truth, (H, W) each, and the number of classes → counts, as `count_labels` has them."""


@dataclass(frozen=True)
class LabelCounts:
    """Counts of some images, from which their mIoU and its resamples are computed."""

    ids: tuple[str, ...]
    counts: Counts  # (images, 3, classes + 1), as `count_labels` has them

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
    predicted: Callable[[str], NDArray[np.uint8]],
    ids: Sequence[str],
    masks: Masks,
    count: Count = count_labels,
) -> tuple[LabelCounts, dict[str, str]]:
    """Count each image's prediction against its mask; also returns the images left out, with the reason.

    Raises `BeyondcamError` where no image can be scored.
    """

    def score(image_id: str) -> Counts:
        prediction = predicted(image_id)
        return count(prediction, masks.truth(image_id, prediction.shape), len(masks.classes))

    counted = Outcome.of(each(score, ids, "score"))
    if not counted.results:
        reason = counted.left_out[ids[0]] if ids else "there is none"
        raise BeyondcamError(f"none of the images can be scored: {reason}")
    return LabelCounts(tuple(counted.results), np.stack(list(counted.results.values()))), counted.left_out


def label_mious(scored: Sequence[LabelCounts]) -> NDArray[np.float64]:
    """The mIoU of each, over the images that all of them have: (len(scored), samples).

    The full sample comes first; the resamples are the same for all, so that they can be compared. Raises
    `BeyondcamError` where they have none in common.
    """
    common = set.intersection(*(set(one.ids) for one in scored))
    shared = [i for i in scored[0].ids if i in common]
    if not shared:
        raise BeyondcamError("the networks were scored on no image in common; score them anew")
    weights = sample_weights(len(shared))
    mious = []
    for one in scored:
        place = {i: n for n, i in enumerate(one.ids)}
        mious.append(resampled_miou(one.counts[[place[i] for i in shared]], weights))
    return np.stack(mious)
