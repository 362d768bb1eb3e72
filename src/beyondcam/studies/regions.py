"""CAM against saliency pixel by pixel: where saliency is high, and how far from the CAM it reaches."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from beyondcam.data import VOID
from beyondcam.evidence import Evidence, level_at_size, threshold_level, winners_of
from beyondcam.metrics import estimate, sample_weights
from beyondcam.metrics.text import estimated
from beyondcam.recipes import Cookbook
from beyondcam.studies.finding import Finding, Plot, Point, Table
from beyondcam.studies.workspace import Workspace

RECIPES = ("saliency", "saliency+smooth", "crops+smooth")
SHARES = ("HSR in DR", "HSR in NDR", "HSR elsewhere", "NDR in HSR", "NDR above background")


@dataclass(frozen=True)
class RegionsSettings:
    """Bins of the distance to the nearest pixel that CAM finds, in contribution windows."""

    edges: tuple[float, ...] = (0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1)


def study_regions(workspace: Workspace, settings: RegionsSettings = RegionsSettings()) -> Finding:
    """Compare HSR with DR and NDR at the reference CAM's oracle τ, and saliency with the distance to DR."""
    setup, edges = workspace.main_setup(), settings.edges
    cookbook = Cookbook()
    evidence = workspace.map_images(setup, {name: cookbook.recipe(name) for name in ("cam", *RECIPES)})
    tau = cast(float, workspace.score(setup, {"cam": evidence["cam"]}).row("cam").threshold)
    setup = workspace.usable(setup)
    side = setup.classifier.size
    window = setup.window or math.inf
    counts: dict[str, list[RegionCounts]] = {name: [] for name in RECIPES}
    for i in setup.images.ids:
        truth, cam = setup.masks.read(i).numpy(), evidence["cam"].read(i)
        steps = [side / extent / min(window, side) for extent in truth.shape]  # size of a pixel, in windows
        for name in RECIPES:
            maps = evidence[name].read(i)
            counts[name].append(count_regions(maps, cam, truth, threshold_level(tau), steps, edges))
    weights = sample_weights(len(setup.images.ids))
    shares = {name: [share_samples(c, n, weights) for n in range(len(SHARES))] for name, c in counts.items()}
    in_ndr, above = (estimated(shares["saliency+smooth"][n]) for n in (1, 4))
    statement = (
        f"On {len(setup.images.ids)} images, a share of {in_ndr} of smoothed saliency's high region lies on "
        f"parts of objects that CAM misses, and a share of {above} of these has more saliency than half of "
        "the background (reference CAM at its oracle τ)."
    )
    table = Table(
        "Shares of pixels, at the reference CAM's oracle τ (HSR is as large as DR)",
        ("recipe", *SHARES),
        [(name, *(estimated(s) for s in samples)) for name, samples in shares.items()],
    )
    x = "distance to the nearest pixel that CAM finds, in windows"
    if window > side:
        x += " (the window is as large as the input)"
    plots = [
        Plot(f"{name}: pixels above the background's median", x, "share",
             distance_lines(counts[name], weights, edges))
        for name in RECIPES
    ]  # fmt: skip
    return Finding(statement, (table,), plots)


Floats = Sequence[float]
RegionCounts = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Numerators and denominators (2, 5) of `SHARES`; pixels above the background's median and all pixels, of NDR
and of the background, by distance: (2, 2, bins)."""


def count_regions(
    evidence: Evidence, cam: Evidence, truth: NDArray[np.uint8], level: int, steps: Floats, edges: Floats
) -> RegionCounts:
    """Count one image, summed over its targets.

    `level` is that of the reference's τ; `steps` are a pixel's height and width in the unit of `edges`.
    """
    winners = winners_of(cam)
    shares, bins = np.zeros((2, len(SHARES))), np.zeros((2, 2, len(edges) - 1))
    background = truth == 0
    for k, target in enumerate(evidence.targets):
        levels = level_at_size(evidence, k)
        known, mask = truth != VOID, truth == target + 1
        positive = (winners.levels > level) & (winners.labels == target + 1)
        dr, ndr = mask & positive, mask & ~positive
        hsr = highest(np.where(known, levels.astype(np.int64), -1), int(dr.sum()))
        above = levels > np.median(levels[background]) if background.any() else np.zeros_like(mask)
        compared = ndr.sum() * background.any()  # without background there is no median to compare with
        shares += [
            [hsr[dr].sum(), hsr[ndr].sum(), hsr[~mask].sum(), hsr[ndr].sum(), above[ndr].sum()],
            [*[hsr.sum()] * 3, ndr.sum(), compared],
        ]
        if positive.any() and background.any():
            distance = distance_transform_edt(~positive, sampling=steps)
            for n, region in enumerate((ndr, background & ~positive)):
                bins[0, n] += np.histogram(distance[region & above], edges)[0]
                bins[1, n] += np.histogram(distance[region], edges)[0]
    return shares, bins


def highest(values: NDArray[np.int64], q: int) -> NDArray[np.float64]:
    """The share of each pixel among the q highest: 1, 0, or an equal part for pixels that tie."""
    if q == 0:
        return np.zeros(values.shape)
    edge = np.partition(values.ravel(), -q)[-q]
    ties = values == edge
    return (values > edge) + ties * ((q - (values > edge).sum()) / ties.sum())


def share_samples(counts: Sequence[RegionCounts], n: int, weights: NDArray[np.int64]) -> NDArray[np.float64]:
    """The n-th share in every sample of images, the full sample first."""
    numerator, denominator = (weights @ np.array([shares[:, n] for shares, _ in counts])).T
    return numerator / np.maximum(denominator, 1e-9)


def distance_lines(
    counts: Sequence[RegionCounts], weights: NDArray[np.int64], edges: Floats
) -> dict[str, list[Point]]:
    """The share of pixels above the background's median by distance, in NDR and in the background."""
    bins = np.array([by_distance for _, by_distance in counts])
    lines: dict[str, list[Point]] = {}
    for n, name in enumerate(("NDR", "background")):
        above, total = np.tensordot(weights, bins[:, :, n], 1).transpose(1, 0, 2)  # (samples, bins) each
        lines[name] = [
            ((low + high) / 2, *estimate(above[:, b] / np.maximum(total[:, b], 1)))
            for b, (low, high) in enumerate(pairwise(edges))
            if total[0, b]
        ]
    return lines
