"""How alike the network finds any two places of an image: what evidence may spread along."""

import torch
import torch.nn.functional as F
from torch import Tensor

from beyondcam.maps.forward import Forward

SIDE = 40
"""Most places along each side of the grid: 1,600 places, whose affinities fill 5 MB."""

FINER = 2
"""Features are looked at that are up to so many times as fine as the CAM."""

FLOOR = 1e-4
"""The least cosine: one layer that finds two places unlike does not part them for good."""


@torch.no_grad()
def affinities(forward: Forward) -> Tensor:
    """Affinities of the places of each square input of a pass: float32 (B, n, n) in [0, 1], symmetric.

    The n places are a grid, row by row, twice as fine as the CAM (up to `SIDE` along each side). An affinity
    is the geometric mean, over layers, of the cosine of the two places' features, each channel less its mean
    over the image, and `FLOOR` where that is lower. The layers are the features between the CAM's resolution
    and `FINER` times it, but for what the head reads; where none is left, just that.

    Affinities between places are Ahn and Kwak's (2018, arXiv 1803.10464), who train a network for them, and
    SEAM's (Wang et al. 2020, arXiv 2004.04581), which trains one layer; here nothing is trained.
    """
    *read, last = forward.features
    places = forward.activations.shape[-1]
    layers = [own for own in read if places <= own.shape[-1] <= FINER * places] or [last]
    side = min(SIDE, FINER * places)
    total = last.new_zeros(len(last), side**2, side**2, dtype=torch.float32)
    for features in layers:
        grid = F.interpolate(features.float(), (side, side), mode="bilinear", antialias=True).flatten(2)
        unit = F.normalize(grid - grid.mean(2, keepdim=True), dim=1)
        total += (unit.transpose(1, 2) @ unit).clamp_(FLOOR, 1).log_()
    return total.div_(len(layers)).exp_()
