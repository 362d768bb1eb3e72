"""How well a classifier ranks images by class."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beyondcam.classifier.model import Classifier
from beyondcam.data import LabelledImages, Photo, evenly
from beyondcam.errors import BeyondcamError
from beyondcam.perturbations import View
from beyondcam.training.samples import Draw, Samples

DOUBTED, LEAST = 256, 10
"""The most images that `doubt` looks at, and the least that it judges by."""

DEALT, CHANCE = 1000, 0.1
"""How often it deals out labels anew, and the share of these that may be as good as the true ones."""

POOR, JUDGED = 0.5, 5
"""Average precision below which a class is hardly known, and the least photos of it to judge by."""


class Scored(NamedTuple):
    """The scores of images.

    Attributes
    ----------
    scores : float32 (N, C), of the images that can be read.
    truth : bool (N, C), their labels.
    left_out : the other images, with the reason.

    """

    scores: NDArray[np.float32]
    truth: NDArray[np.bool_]
    left_out: dict[str, str]

    def precisions(self) -> dict[int, float]:
        """Average precision of each class that some of the images have."""
        from sklearn.metrics import average_precision_score  # here, since most commands never train

        present = np.flatnonzero(self.truth.any(0)).tolist()
        return {c: float(average_precision_score(self.truth[:, c], self.scores[:, c])) for c in present}

    def mean_precision(self) -> float | None:
        """Mean over these classes; None where no image that can be read has one."""
        by_class = self.precisions()
        return float(np.mean(list(by_class.values()))) if by_class else None


def mean_average_precision(
    classifier: Classifier, images: LabelledImages, ids: Sequence[str], batch: int = 16
) -> tuple[float | None, dict[str, str]]:
    """mAP over the classes that some of the images have, on whole images at the training size.

    None where none that can be read has one; beside it the images that cannot be, with the reason. Raises
    `BeyondcamError` where scores are not finite.
    """
    scored = score_photos(classifier, images, ids, batch)
    return scored.mean_precision(), scored.left_out


def poor_classes(scored: Scored, classes: Sequence[str], judged: str) -> str | None:
    """Which classes the classifier hardly knows, as people are told it; None where there are none.

    `judged` says which photos were scored, as in "trained on".
    The threshold is no more than a guess: of the classes that were measured, all above it, masks of those
    below an average precision of 0.6 had an IoU below 0.3.
    """
    often = scored.truth.sum(0) >= JUDGED
    poor = [f"{classes[c]} ({ap:.2f})" for c, ap in scored.precisions().items() if ap < POOR and often[c]]
    if not poor:
        return None
    return (
        f"low average precision on {len(scored.scores)} photos {judged}: {', '.join(poor)}; the classifier "
        "hardly knows them, so that their masks will be wrong: add photos, look at their "
        "labels, or leave them out by naming the others (classes)"
    )


def alike(scored: Scored) -> str | None:
    """Why images that were trained on taught nothing, where all have the same labels; None if not."""
    if not len(scored.truth) or (scored.truth.any(0) & ~scored.truth.all(0)).any():
        return None
    return "all photos have the same labels, so that nothing tells these apart; add photos of others"


def doubt(scored: Scored, split: str) -> str | None:
    """Why maps of a classifier may mean nothing, as images of a split show; None if not.

    Images with a class should have higher scores for it than those without. How much higher, as the area
    under the ROC curve, is compared with what the same scores give for labels that are dealt out anew.
    """
    from scipy.stats import rankdata

    some = np.array(evenly(range(len(scored.scores)), DOUBTED), np.intp)
    s, t = scored.scores[some], scored.truth[some]
    mixed = t.any(0) & ~t.all(0)  # (C,)
    if len(s) < LEAST or not mixed.any():
        return None
    ranks, t = rankdata(s[:, mixed], axis=0), t[:, mixed]  # (N, c) both

    def area(truth: NDArray[np.bool_]) -> float:
        count = truth.sum(0)
        return float(np.mean(((ranks * truth).sum(0) / count - (count + 1) / 2) / (len(truth) - count)))

    rng = np.random.default_rng(0)
    actual, shuffled = area(t), np.array([area(rng.permutation(t)) for _ in range(DEALT)])
    if np.mean(shuffled >= actual) <= CHANCE:
        return None
    return (
        f"it tells photos of {split} with a class from those without no better than chance (area "
        f"under the ROC curve {actual:.2f}); train longer (epochs) or at another rate (lr), or look at labels"
    )


def places_of(classifier: Classifier) -> int:
    """Class activations along a side of a photo that is shown at the classifier's size."""
    x = torch.zeros(1, 3, classifier.size, classifier.size, device=classifier.device)
    with torch.no_grad():
        return classifier.eval()(x).activations.shape[-1]


def score_photos(
    classifier: Classifier, images: LabelledImages, ids: Sequence[str], batch: int = 16
) -> Scored:
    """The scores of whole images at the training size. Raises `BeyondcamError` where they are not finite."""
    samples = labelled_samples(images, classifier, lambda _, __, *size: View((0, 0, *size), classifier.size))
    classifier.eval()
    shape = (0, len(images.classes))
    scores, truth = [torch.zeros(shape)], [torch.zeros(shape)]
    left_out: dict[str, str] = {}
    for x, y, unread, _ in samples.batches(
        [[(0, i) for i in ids[n : n + batch]] for n in range(0, len(ids), batch)]
    ):
        left_out |= unread
        if len(x):
            with torch.no_grad():
                scores.append(classifier(x).scores.cpu())
            truth.append(y.cpu())
    s, t = torch.cat(scores).numpy(), torch.cat(truth).numpy() > 0
    if not np.isfinite(s).all():
        raise BeyondcamError("the classifier's scores are not finite; lower it", parameter="lr")
    return Scored(s, t, left_out)


def labelled_samples(images: LabelledImages, classifier: Classifier, draw: Draw) -> Samples:
    """Images as inputs of a classifier, with their labels as float (C,), 1 for each class present."""

    def target(image_id: str, photo: Photo, view: View) -> Tensor:
        del photo, view
        present = torch.tensor(sorted(images.labels[image_id]), dtype=torch.long)
        return torch.zeros(len(images.classes)).index_fill_(0, present, 1)

    return Samples(images, classifier.normalise, classifier.size, draw, target)
