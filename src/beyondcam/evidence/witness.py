"""Two different recipes, refined in the same way, whose agreement stands in for masks."""

from dataclasses import replace
from os import PathLike
from typing import Any

from beyondcam.classifier import Classifier
from beyondcam.data import LabelledImages, evenly
from beyondcam.evidence.mapper import Targets, map_split

WITNESSES = ("witness-saliency", "witness-cam")
"""Saliency goes too far where CAM stops short: they are seldom wrong at the same pixels."""

SAMPLE = 128
"""Images that are mapped by them; of fewer than 64 photos, two or three would decide."""


def map_witnesses(
    classifier: Classifier,
    images: LabelledImages,
    out: str | PathLike[str],
    *,
    targets: Targets = "labels",
    **options: Any,
) -> dict[str, str]:
    """Write what the rules `blind` and `adaptive` go by: two unlike maps of up to 128 images of a split.

    It is kept under a split of its own, so that scores and seeds do not take it for a recipe's.

    Parameters
    ----------
    classifier, images, out, targets, **options
        as of `map_split`.

    Returns
    -------
    The images left out, with the reason.

    Raises
    ------
    BeyondcamError
        As `map_split` does.

    """
    return map_split(classifier, witnessed(images, targets), WITNESSES, out, targets=targets, **options)


def witnessed(images: LabelledImages, targets: str) -> LabelledImages:
    """The images of a split that the witnesses map: up to `SAMPLE` that may have a target, evenly spread."""
    unknown = targets == "mixed"
    with_targets = [i for i in images.ids if targets == "predicted" or images.labels.get(i, unknown)]
    return replace(images, ids=evenly(with_targets, SAMPLE), split=f"{images.split}-witnesses")
