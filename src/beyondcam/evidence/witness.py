"""Two unlike recipes, refined alike, whose agreement stands in for masks that nobody drew."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from beyondcam.classifier import Classifier
from beyondcam.data import LabelledImages, evenly
from beyondcam.evidence.mapper import Targets, map_split
from beyondcam.recipes import Cookbook

WITNESSES = ("witness-saliency", "witness-cam")
"""Saliency goes too far where CAM stops short: what one gets wrong the other seldom gets wrong too."""

SAMPLE = 128
"""Images that are asked about; of fewer than 64 photos, two or three would decide."""


def map_witnesses(
    classifier: Classifier, images: LabelledImages, out: Path, *, targets: Targets = "labels", **options: Any
) -> dict[str, str]:
    """Write the evidence of both witnesses, of up to `SAMPLE` images of a split; `options` of `map_split`.

    It is kept as that of a split of its own, so that neither scores nor seeds take it for a recipe's.
    """
    recipes = {name: Cookbook().recipe(name) for name in WITNESSES}
    return map_split(classifier, witnessed(images, targets), recipes, out, targets=targets, **options)


def witnessed(images: LabelledImages, targets: str) -> LabelledImages:
    """The images of a split that the witnesses are asked about: some that have a target, evenly spread."""
    known = images.ids if targets == "predicted" else [i for i in images.ids if images.labels.get(i)]
    return replace(images, ids=evenly(known, SAMPLE), split=f"{images.split}-witnesses")
