"""Scores of anyone's masks or maps by the customs of the field, which differ in what they call the mIoU."""

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Winners, within_unit
from beyondcam.metrics.bootstrap import Interval, estimate, sample_weights
from beyondcam.metrics.predictions import read_prediction
from beyondcam.metrics.tally import Absent, Counts, ImageTally, Sweep, iou, mean_iou, resampled_miou
from beyondcam.outcome import Outcome
from beyondcam.progress import each


@dataclass(frozen=True)
class Protocol:
    """A custom of the field.

    Attributes
    ----------
    name, meaning, source : what it is called, in a few words; where it is written down.
    thresholds : the constant background scores that are tried on maps, ascending, of which the best counts;
        none where it takes label images alone.
    absent : what a class does that no mask shows, see `mean_iou`.
    per_image : whether the mIoU is the mean over images of each one's own.

    """

    name: str
    meaning: str
    source: str
    thresholds: tuple[float, ...] = ()
    absent: Absent = "auto"
    per_image: bool = False


PROTOCOLS = {
    protocol.name: protocol
    for protocol in (
        Protocol("voc", "label images; one confusion matrix over all pixels", "VOCevalseg.m in VOC's devkit"),
        Protocol(
            "irn",
            "maps at the background score 0.15",
            "step/eval_cam.py in github.com/jiwoon-ahn/irn",
            thresholds=(0.15,),
        ),
        Protocol(
            "seam",
            "maps at the best of the background scores 0, 0.01 … 0.59; an absent class counts 0",
            "evaluation.py --curve in github.com/YudeWang/SEAM",
            thresholds=tuple(n / 100 for n in range(60)),
            absent="zero",
        ),
        Protocol(
            "per-image",
            "label images; the mean over images of each one's mIoU, over the classes shown or predicted",
            "no paper's, but many a script's",
            per_image=True,
        ),
    )
}
"""By name."""


EPSILON = 1e-3
"""How far maps may be above 1, as of float16."""


@dataclass(frozen=True)
class Evaluation:
    """What `evaluate` returns; every figure is a share in [0, 1].

    Attributes
    ----------
    protocol : its name.
    miou, interval : the figure, and its 95 % bootstrap interval over images, the threshold held.
    iou : IoU of background and each class over all pixels; None for one in neither truth nor prediction.
    threshold : the constant background score; None for label images.
    sweep : the mIoU at each threshold that was tried, where these were several.
    images : how many were scored.
    left_out : the others, with the reason.

    """

    protocol: str
    miou: float
    interval: Interval | None
    iou: dict[str, float | None]
    threshold: float | None
    sweep: dict[float, float]
    images: int
    left_out: dict[str, str]


def evaluate(
    folder: str | PathLike[str],
    ids: Sequence[str] | LabelledImages,
    masks: Masks | None,
    protocol: str = "voc",
    *,
    threshold: float | None = None,
    known: Sequence[str] | None = None,
) -> Evaluation:
    """Score a folder of label images, maps or probabilities of any program by a named custom.

    Parameters
    ----------
    folder
        holds `ID.png`, a label image, or `ID.npy`: a dict of maps as IRN or SEAM write it, or an array of
        maps (C, H, W) in [0, 1], of probabilities with background first (C + 1, H, W), or of labels (H, W).
        Nothing is normalised or resized: maps are taken as they are, at the size of the mask.
    ids
        of the images, or these as `open_images` gives them.
    masks
        theirs.
    protocol
        "voc", "irn", "seam" or "per-image".
    threshold
        a constant background score in [0, 1] in place of the protocol's; for maps alone.
    known
        the classes that the files number, where `masks.classes` are only some of these.

    Returns
    -------
    The figures.

    Raises
    ------
    BeyondcamError
        Where there is no such protocol or folder, or no image can be scored: because the files hold labels
        and the protocol takes maps, say, or the other way round.

    """
    if protocol not in PROTOCOLS:
        raise BeyondcamError(f"no {protocol!r}; there are {', '.join(PROTOCOLS)}", parameter="protocol")
    if masks is None:
        raise BeyondcamError("the data have none to score by", parameter="masks")
    folder, custom, classes = Path(folder), PROTOCOLS[protocol], len(masks.classes)
    known = known or masks.classes
    if strays := [name for name in masks.classes if name not in known]:
        raise BeyondcamError(f"lacks {strays[0]}, which is scored", parameter="known")
    if not folder.is_dir():
        raise BeyondcamError(f"{folder}: no such folder", parameter="folder")
    thresholds = custom.thresholds if threshold is None else (within_unit(threshold, "threshold"),)

    def count(image_id: str) -> ImageTally:
        """The counts of an image at every threshold."""
        truth = masks.read(image_id).numpy()
        labels, values = read_prediction(folder, image_id, truth.shape, masks.classes, known)
        if values is None and custom.thresholds:
            raise BeyondcamError(f"{folder}: holds labels, and {protocol} takes maps; voc takes labels")
        if values is None and thresholds:
            raise BeyondcamError(f"{folder}: holds labels, which no threshold changes; leave it out")
        if values is not None and not thresholds:
            raise BeyondcamError(f"{folder}: holds maps, for which {protocol} needs a threshold; or take irn")
        if values is not None and values.max(initial=0) > 1 + EPSILON:
            what = f"its maps reach {values.max():.3g}, and thresholds are from 0 to 1"
            raise BeyondcamError(f"{folder}: {image_id}: {what}; divide each map by its maximum")
        if values is None:
            levels = (labels > 0).astype(np.uint8)
        else:  # foreground at those below its value
            levels = np.searchsorted(np.array(thresholds, np.float32), values).astype(np.uint8)
        return ImageTally.of(Winners(labels, levels), truth)

    listed = ids.ids if isinstance(ids, LabelledImages) else ids
    outcome = Outcome.of(each(count, listed, "evaluate"))
    if not outcome.results:
        reason = next(iter(outcome.left_out.values()), "there is none")
        raise BeyondcamError(f"none of the images can be scored: {reason}")
    tallies = list(outcome.results.values())
    several = len(thresholds) > 1
    mious = Sweep.of(tallies, classes).miou(custom.absent)[: len(thresholds)].tolist() if several else []
    best = int(np.argmax(mious)) if mious else 0
    counts = np.stack([tally.at(best, classes) for tally in tallies])  # (images, 3, classes + 1)
    if not counts[:, 2].any():
        raise BeyondcamError(f"none of the {len(counts)} images can be scored: their masks are all void")
    miou, interval = estimate(_samples(counts, custom))
    by_class = iou(*counts.sum(0)).tolist()
    return Evaluation(
        protocol, miou, interval,
        {
            name: None if np.isnan(value) else value
            for name, value in zip(("background", *masks.classes), by_class, strict=True)
        },
        thresholds[best] if thresholds else None,
        dict(zip(thresholds, mious, strict=False)),
        len(tallies), outcome.left_out,
    )  # fmt: skip


def _samples(counts: Counts, custom: Protocol) -> NDArray[np.float64]:
    """The protocol's mIoU in the full sample and in each resample, NaN where all of it is void."""
    weights = sample_weights(len(counts))
    judged = counts[:, 2].any(1)  # all but images that are void throughout
    drawn = weights[:, judged].sum(1)
    if custom.per_image:
        intersection, predicted, true = counts[judged].transpose(1, 2, 0)  # (classes + 1, images) each
        mious = mean_iou(iou(intersection, predicted, true), true, custom.absent)
        values = weights[:, judged] @ mious / np.maximum(drawn, 1)
    else:
        values = resampled_miou(counts, weights, custom.absent)
    return np.where(drawn > 0, values, np.nan)
