"""How alike the network finds any two places of an image: what evidence may spread along."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beyondcam.classifier.model import Classifier

SIDE = 40
"""Most places along each side of the grid: 1,600 places, whose affinities fill 5 MB."""

FINER = 2
"""Features are looked at that are up to so many times as fine as the CAM."""

FLOOR = 1e-4
"""The least cosine: one layer that finds two places unlike does not part them for good."""


@torch.no_grad()
def affinities(classifier: Classifier, inputs: Tensor) -> Tensor:
    """Affinities of the places of normalised inputs (B, 3, H, H): float32 (B, n, n) in [0, 1], symmetric.

    The n places are a grid, row by row, twice as fine as the CAM (up to `SIDE` along each side). An affinity
    is the geometric mean, over layers, of the cosine of the two places' features, each channel less its mean
    over the image, and `FLOOR` where that is lower. The layers are what the convolutions over all channels
    read, where that is between the CAM's resolution and `FINER` times it; convolutions that narrow what they
    read are passed over, since others read the same in fewer channels. Where none is left, it is what the
    head reads.

    Affinities between places are Ahn and Kwak's (2018, arXiv 1803.10464), who train a network for them, and
    SEAM's (Wang et al. 2020, arXiv 2004.04581), which trains one layer; here nothing is trained.
    """
    read: dict[int, Tensor] = {}  # by id: what two convolutions read counts once
    last: list[Tensor] = []

    def before(_: nn.Module, x: tuple[Tensor, ...]) -> None:
        read[id(x[0])] = x[0]

    def after(_: nn.Module, __: object, features: Tensor) -> None:
        last.append(features)

    hooks = [
        module.register_forward_pre_hook(before)
        for module in classifier.modules()
        if isinstance(module, nn.Conv2d) and module.groups == 1 and module.out_channels >= module.in_channels
    ]
    hooks.append(classifier.backbone.register_forward_hook(after))
    try:
        places = classifier(inputs).activations.shape[-1]
    finally:
        for hook in hooks:
            hook.remove()
    layers = [own for own in read.values() if places <= own.shape[-1] <= FINER * places] or last
    side = min(SIDE, FINER * places)
    total = inputs.new_zeros(len(inputs), side**2, side**2, dtype=torch.float32)
    for features in layers:
        grid = F.interpolate(features.float(), (side, side), mode="bilinear", antialias=True).flatten(2)
        unit = F.normalize(grid - grid.mean(2, keepdim=True), dim=1)
        total += (unit.transpose(1, 2) @ unit).clamp_(FLOOR, 1).log_()
    return total.div_(len(layers)).exp_()
