"""Saliency against CAM with all else equal: on the whole image, and on the same crops."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from beyondcam.classifier import Classifier
from beyondcam.metrics import Scores
from beyondcam.metrics.text import cell, signed
from beyondcam.perturbations import Crops, Perturbation, Plain
from beyondcam.perturbations.base import pixels
from beyondcam.recipes import Recipe, Source
from beyondcam.studies.finding import Point
from beyondcam.studies.workspace import smoothed

CROPS = 16  # number of crops


class MapPair(NamedTuple):
    """The names of two recipes that differ in the map alone."""

    label: str
    saliency: str
    cam: str

    def difference(self, scores: Scores) -> tuple[float, float, float]:
        """MIoU with saliency minus mIoU with CAM at oracle τ, with its interval."""
        return scores.difference(self.saliency, self.cam)

    def point(self, x: float, scores: Scores) -> Point:
        """The difference, to be plotted."""
        value, low, high = self.difference(scores)
        return x, value, (low, high)


WHOLE_IMAGE = MapPair("saliency minus CAM", "saliency", "smoothed cam")
BOTH = (WHOLE_IMAGE, MapPair("crops of saliency minus crops of CAM", "crops", "crops-cam"))
LABELS = tuple(pair.label for pair in BOTH)
NAMES = tuple(name for pair in BOTH for name in (pair.cam, pair.saliency))
HEAD = ("mIoU of CAM", "of saliency", "of crops of CAM", "of crops of saliency", *LABELS)


def cells(scores: Scores) -> Sequence[str]:
    """The cells under `HEAD`: mIoU of each recipe, and the difference of each pair."""
    mious = (cell(scores.row(name)) for name in NAMES)
    return *mious, *(signed(pair.difference(scores)) for pair in BOTH)


def recipes(whole: Perturbation | None = None) -> dict[str, Recipe]:
    """The recipes of both pairs, and the reference CAM; `whole` is the view of the whole image."""
    plain, crops = whole or Plain(), {"perturbation": Crops(n=CROPS), "weight": "score"}
    return {
        "cam": Recipe(source=Source(map="cam")),
        "smoothed cam": smoothed("cam", perturbation=plain),
        "saliency": smoothed("saliency", perturbation=plain),
        "crops-cam": smoothed("cam", **crops),
        "crops": smoothed("saliency", **crops),
    }


def cam_positions(classifier: Classifier, size: float = 1.0) -> int:
    """The number of spatial positions h·w of the CAM, for an input of `size` times the training size."""
    side = pixels(size, classifier.size)
    x = torch.zeros(1, 3, side, side, device=classifier.weight.device)
    with torch.no_grad():
        return classifier(x).activations[0, 0].numel()
