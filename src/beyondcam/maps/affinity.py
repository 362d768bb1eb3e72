"""Affinities: how similar the network's features are at any two places of an image."""

import torch
import torch.nn.functional as F
from torch import Tensor

from beyondcam.maps.forward import Forward, Needs

AFFINITY_NEEDS = Needs(conv_inputs=True)

SIDE = 40
"""Most places along each side of the grid: 1,600 places, whose affinities fill 5 MB."""

FINER = 2
"""Only layers count that are at most so many times as fine as the CAM."""

FLOOR = 1e-4
"""The least cosine, so that one layer in which two places differ does not set their affinity to 0."""


@torch.no_grad()
def affinities(forward: Forward) -> Tensor:
    """Affinities of the places of each square input of a pass: float32 (B, n, n) in [0, 1], symmetric.

    The n places are a grid, row by row, twice as fine as the CAM (up to `SIDE` along each side). An affinity
    is the geometric mean, over layers, of the cosine of the two places' features, after each channel's mean
    over the image is subtracted; a cosine below `FLOOR` counts as `FLOOR`. The layers are the convolutions'
    inputs from the CAM's resolution up to `FINER` times it, or what the head reads where there are none.

    Affinities between places are Ahn and Kwak's (2018, arXiv 1803.10464), who train a network for them, and
    SEAM's (Wang et al. 2020, arXiv 2004.04581), which trains one layer; here nothing is trained.
    """
    *inner, last = forward.conv_inputs
    places = last.shape[-1]
    layers = [x for x in inner if places <= x.shape[-1] <= FINER * places] or [last]
    side = min(SIDE, FINER * places)
    log_sum = last.new_zeros(len(last), side**2, side**2, dtype=torch.float32)  # (B, n, n)
    for features in layers:
        grid = F.interpolate(features.float(), (side, side), mode="bilinear", antialias=True).flatten(2)
        unit = F.normalize(grid - grid.mean(2, keepdim=True), dim=1)  # (B, K, n)
        log_sum += (unit.transpose(1, 2) @ unit).clamp_(FLOOR, 1).log_()
    return log_sum.div_(len(layers)).exp_()
