"""How well a classifier ranks images by class."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from beyondcam.classifier.model import Classifier
from beyondcam.data import LabelledImages, Photo
from beyondcam.errors import BeyondcamError
from beyondcam.perturbations import View
from beyondcam.training.samples import Draw, Samples


def mean_average_precision(
    classifier: Classifier, images: LabelledImages, ids: Sequence[str], batch: int = 16
) -> tuple[float | None, dict[str, str]]:
    """mAP over the classes that some of the images have, on whole images at the training size.

    None where no image can be read; beside it the images that cannot be, with the reason. Raises
    `BeyondcamError` where scores are not finite.
    """
    from sklearn.metrics import average_precision_score  # here, since most commands never train

    samples = labelled_samples(images, classifier, lambda _, __, *size: View((0, 0, *size), classifier.size))
    classifier.eval()
    scores, truth = [], []
    left_out: dict[str, str] = {}
    for x, y, unread in samples.batches(
        [[(0, i) for i in ids[n : n + batch]] for n in range(0, len(ids), batch)]
    ):
        left_out |= unread
        if len(x):
            with torch.no_grad():
                scores.append(classifier(x).scores.cpu())
            truth.append(y.cpu())
    if not scores:
        return None, left_out
    s, t = torch.cat(scores).numpy(), torch.cat(truth).numpy()  # (N, C) both
    if not np.isfinite(s).all():
        raise BeyondcamError("lr: the classifier's scores are not finite; lower it")
    present = np.flatnonzero(t.any(0))
    ap = [average_precision_score(t[:, c], s[:, c]) for c in present]
    return float(np.mean(ap)) if ap else 0.0, left_out


def labelled_samples(images: LabelledImages, classifier: Classifier, draw: Draw) -> Samples:
    """Images as inputs of a classifier, with their labels as float (C,), 1 for each class present."""

    def target(image_id: str, photo: Photo, view: View) -> Tensor:
        del photo, view
        present = torch.tensor(sorted(images.labels[image_id]), dtype=torch.long)
        return torch.zeros(len(images.classes)).index_fill_(0, present, 1)

    return Samples(images, classifier.normalise, classifier.size, draw, target)
