"""How far a seed can be trusted, found without a mask: does another recipe agree, is the classifier sure?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID, LabelledImages
from beyondcam.evidence import Evidence, Threshold
from beyondcam.files import path_below, write_csv
from beyondcam.seeds.labels import seed_labels


@dataclass(frozen=True)
class Found:
    """What a seed shows of a class that the image is labelled with.

    Attributes
    ----------
    label : of the class in label images, from 1.
    area : share of the picture.
    confidence : in [0, 1]; None where there is no second recipe.

    """

    label: int
    area: float
    confidence: float | None


def found_in(
    seed: NDArray[np.uint8], evidence: Evidence, second: tuple[Evidence, Threshold] | None
) -> list[Found]:
    """What a seed (H, W) shows of each target, and how far that can be trusted.

    The confidence in a class k is

        IoU(k in the seed, k in the seed of the second recipe) · √σ(s_k),

    s_k being the classifier's score of the whole image, where evidence has one. Void pixels are left out.
    Recipes that see alike agree even where both are wrong, so the two should differ as `best` and `fast` do.
    """
    other = None if second is None else seed_labels(*second)
    scores = evidence.scores or (np.inf,) * len(evidence.targets)
    found = []
    for label, score in zip((t + 1 for t in evidence.targets), scores, strict=True):
        here, confidence = seed == label, None
        if other is not None:
            there = (other == label) & (seed != VOID)
            iou = (here & there).sum() / max(1, (here | there).sum())
            confidence = float(iou / np.sqrt(1 + np.exp(-score)))
        found.append(Found(label, float(here.mean()), confidence))
    return found


def confidence_file(images: LabelledImages, out: Path) -> Path:
    """The table of a split's confidences in a folder of seeds."""
    return path_below(out, f"confidence-{images.split}", ".csv")


def write_confidences(
    images: LabelledImages, found: Mapping[str, Sequence[Found]], out: Path
) -> tuple[float | None, list[str]]:
    """Write `out/confidence-SPLIT.csv`, a line for each image and class, the least trustworthy image first.

    `found` is by image, with a second recipe. Returns the mean over the images that have a class, each the
    mean over its classes, and their ids in that order; it is the mean IoU of the classes to be expected.
    """
    means = {i: float(np.mean([f.confidence for f in some])) for i, some in found.items() if some}
    ordered = sorted(means, key=lambda i: (means[i], i))
    rows = [
        (i, images.classes[f.label - 1], f"{f.area:.6f}", f"{f.confidence:.4f}")
        for i in ordered
        for f in found[i]
    ]
    path = confidence_file(images, out)
    write_csv(path, [("image", "class", "area", "confidence"), *rows])
    return float(np.mean(list(means.values()))) if means else None, ordered
