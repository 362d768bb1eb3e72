"""Saliency against CAM, alike in all else: of the whole image, and of the same crops."""

from collections.abc import Sequence

import torch

from beyondcam.classifier import Classifier
from beyondcam.metrics import Scores
from beyondcam.perturbations import Crops, Perturbation, Plain
from beyondcam.perturbations.base import pixels
from beyondcam.recipes import Recipe, Source
from beyondcam.studies.bench import smoothed
from beyondcam.studies.finding import Point, cell, signed

N = 16
"""Crops."""

SALIENCY, CAM = "saliency", "smoothed cam"
"""The recipes of the whole image."""

WHOLE = "saliency less CAM"
PAIRS = {WHOLE: (SALIENCY, CAM), "crops of saliency less crops of CAM": ("crops", "crops-cam")}
"""What is compared → the recipe of saliency and that of CAM, refined and weighted alike."""

NAMES = (CAM, SALIENCY, "crops-cam", "crops")
"""The recipes compared, as they stand under `HEAD`."""

HEAD = ("mIoU of CAM", "of saliency", "of crops of CAM", "of crops of saliency", *PAIRS)


def recipes(whole: Perturbation | None = None) -> dict[str, Recipe]:
    """The four, and the reference CAM; `whole` is how the whole image is shown."""
    plain, crops = whole or Plain(), {"perturbation": Crops(n=N), "weight": "score"}
    return {
        "cam": Recipe(source=Source(map="cam")),
        CAM: smoothed("cam", perturbation=plain),
        SALIENCY: smoothed("saliency", perturbation=plain),
        "crops-cam": smoothed("cam", **crops),
        "crops": smoothed("saliency", **crops),
    }


def lead(scores: Scores, what: str) -> tuple[float, float, float]:
    """MIoU of a pair's saliency less that of its CAM, oracle τ, with its interval."""
    return scores.difference(*PAIRS[what])


def cells(scores: Scores) -> Sequence[str]:
    """What stands under `HEAD`."""
    return *(cell(scores.row(name)) for name in NAMES), *(signed(lead(scores, what)) for what in PAIRS)


def point(x: float, scores: Scores, what: str) -> Point:
    """A pair's lead, to be plotted."""
    value, low, high = lead(scores, what)
    return x, value, (low, high)


def grid(classifier: Classifier, size: float = 1.0) -> int:
    """How many places its CAM has, for an input of so many times the training size."""
    side = pixels(size, classifier.size)
    x = torch.zeros(1, 3, side, side, device=classifier.weight.device)
    with torch.no_grad():
        return classifier(x).activations[0, 0].numel()
