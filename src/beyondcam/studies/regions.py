"""CAM against saliency, pixel by pixel: where saliency is high, and how far from the CAM it reaches."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from beyondcam.classifier import Classifier
from beyondcam.data import VOID
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Evidence, level_at_size, threshold_level, winners_of
from beyondcam.metrics import estimate, sample_weights
from beyondcam.recipes import Cookbook
from beyondcam.studies.bench import Bench
from beyondcam.studies.finding import Finding, Plot, Point, Table, bounded
from beyondcam.windows import contribution_window

RECIPES = ("saliency", "saliency+smooth", "crops+smooth")
EDGES = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1)
"""Distances to the nearest pixel that CAM finds, in windows."""

NAMES = ("HSR in DR", "HSR in NDR", "HSR elsewhere", "NDR in HSR", "NDR above background")


def regions(bench: Bench) -> Finding:
    """HSR against DR and NDR at the reference CAM's oracle τ, and saliency over the distance to it."""
    subject = bench.subject()
    found = bench.mapped(subject, {name: Cookbook().recipe(name) for name in ("cam", *RECIPES)})
    tau = bench.scored(subject, {"cam": found["cam"]}).row("cam").threshold
    subject = bench.usable(subject)
    side = subject.classifier.size
    window = reach(bench, subject.classifier)
    counts: dict[str, list[Counted]] = {name: [] for name in RECIPES}
    for i in subject.images.ids:
        truth, cam = subject.masks.read(i).numpy(), found["cam"].read(i)
        steps = [side / extent / min(window, side) for extent in truth.shape]  # of a pixel, in windows
        for name in RECIPES:
            counts[name].append(count(found[name].read(i), cam, truth, threshold_level(tau), steps))
    weights = sample_weights(len(subject.images.ids))
    shares = {name: [of(own, n, weights) for n in range(len(NAMES))] for name, own in counts.items()}
    in_ndr, above = shares["saliency+smooth"][1], shares["saliency+smooth"][4]
    statement = (
        f"On {len(subject.images.ids)} images, {words(in_ndr)} of smoothed saliency's high region lies on "
        f"parts of objects that the CAM misses, and {words(above)} of those parts has more saliency than "
        "the median of the background (which half of the background has; reference at its oracle τ)."
    )
    table = Table(
        "Shares of pixels, at the reference CAM's oracle τ (HSR is as large as DR, LSR is the rest)",
        ("recipe", *NAMES),
        [(name, *(words(s) for s in own)) for name, own in shares.items()],
    )
    unit_name = "distance to the nearest pixel CAM finds, in windows"
    if window > side:
        unit_name += " (as large as the input)"
    plots = [
        Plot(
            f"{name}: pixels above the background's median",
            unit_name,
            "share",
            over_distance(counts[name], weights),
        )
        for name in RECIPES
    ]
    return Finding(statement, (table,), plots)


def reach(bench: Bench, classifier: Classifier) -> float:
    """The side of the contribution window in pixels of the input, infinite where it is not known."""
    try:
        return contribution_window(classifier.backbone, classifier.size).size
    except BeyondcamError as error:
        bench.say(f"{error}; taken as the whole input")
        return math.inf


Counted = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Parts and wholes (2, 5) of the shares `NAMES`; above and all by NDR and background, (2, 2, bins)."""


def count(
    evidence: Evidence, cam: Evidence, truth: NDArray[np.uint8], level: int, steps: Sequence[float]
) -> Counted:
    """Count one image, its targets added up.

    `level` is the reference's; `steps` are a pixel's height and width in the unit of distances.
    """
    winners = winners_of(cam)
    shares, bins = np.zeros((2, len(NAMES))), np.zeros((2, 2, len(EDGES) - 1))
    for k, target in enumerate(evidence.targets):
        own = level_at_size(evidence, k)
        known, mine = truth != VOID, truth == target + 1
        hit = (winners.levels > level) & (winners.labels == target + 1)
        found = mine & hit
        missed, ground = mine & ~found, truth == 0
        high = highest(np.where(known, own.astype(np.int64), -1), int(found.sum()))
        above = own > np.median(own[ground]) if ground.any() else np.zeros_like(mine)
        compared = missed.sum() * ground.any()  # without a background there is nothing to be above
        shares += [
            [
                high[found].sum(),
                high[missed].sum(),
                high[~mine].sum(),
                high[missed].sum(),
                above[missed].sum(),
            ],
            [*[high.sum()] * 3, missed.sum(), compared],
        ]
        if hit.any() and ground.any():
            distance = distance_transform_edt(~hit, sampling=steps)
            for n, where in enumerate((missed, ground & ~hit)):
                bins[0, n] += np.histogram(distance[where & above], EDGES)[0]
                bins[1, n] += np.histogram(distance[where], EDGES)[0]
    return shares, bins


def highest(values: NDArray[np.int64], q: int) -> NDArray[np.float64]:
    """How much of each pixel belongs to the q highest: 1, 0, or an equal part of what several tie for."""
    if q == 0:
        return np.zeros(values.shape)
    edge = np.partition(values.ravel(), -q)[-q]
    ties = values == edge
    return (values > edge) + ties * ((q - (values > edge).sum()) / ties.sum())


def of(counts: Sequence[Counted], n: int, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """A share in every sample, the full one first."""
    parts, wholes = (weights @ np.array([shares[:, n] for shares, _ in counts])).T
    return parts / np.maximum(wholes, 1e-9)


def words(samples: NDArray[np.float64]) -> str:
    """A share and its interval."""
    return bounded(*estimate(samples))


def over_distance(counts: Sequence[Counted], weights: NDArray[np.int64]) -> dict[str, list[Point]]:
    """The share above the background's median by distance, of what CAM misses and of the background."""
    bins = np.array([own for _, own in counts])
    lines: dict[str, list[Point]] = {}
    for n, name in enumerate(("NDR", "background")):
        above, every = np.tensordot(weights, bins[:, :, n], 1).transpose(1, 0, 2)
        points: list[Point] = []
        for b, (low, high) in enumerate(pairwise(EDGES)):
            if every[0, b]:
                samples = above[:, b] / np.maximum(every[:, b], 1)
                points.append(((low + high) / 2, *estimate(samples)))
        lines[name] = points
    return lines
