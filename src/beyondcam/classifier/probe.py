"""What is tried on a network before its activations are believed."""

import torch
from torch import Tensor

from beyondcam.classifier.tape import Unpooled

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-3}
LOW_PRECISION = 0.05
"""Of all other types, such as half."""


def tolerance(scores: Tensor) -> float:
    """How far the mean of the activations may be from scores, as a share of the largest activation."""
    return TOLERANCE.get(scores.dtype, LOW_PRECISION)


def fault(scores: Tensor, unpooled: Unpooled) -> str | None:
    """What is wrong with activations, by the scores that they should give."""
    maps = unpooled.maps.detach()
    if maps.shape[:2] != scores.shape:
        return "its scores are some of its activations alone"
    if maps.shape[2:] == (1, 1):
        return "at this size of input its features are one place; show it larger inputs"
    difference = (unpooled.pooled() - scores).detach().abs().max()
    if not difference <= tolerance(scores) * maps.abs().max():
        return "at this size of input the mean of its activations is not its score"
    return None


def quadrants(side: int) -> Tensor:
    """An image of noise, four more that differ from it in one quadrant each, and a white one.

    float (6, 3, side, side)
    """
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(1, 3, side, side, generator=rng).repeat(6, 1, 1, 1)
    x[5] = 2
    half = side // 2
    for n, (top, left) in enumerate(((0, 0), (0, half), (half, 0), (half, half)), start=1):
        x[n, :, top : top + half, left : left + half] = torch.randn(3, half, half, generator=rng)
    return x


def is_scrambled(features: Tensor) -> bool:
    """Whether the places of the features (6, K, h, w) of `quadrants` are in another order than the photo's.

    Each place should change most with the quadrant of the photo that it lies in. In small grids and untrained
    networks all quadrants change all places equally, and the answer is no.
    """
    change = (features[1:5] - features[:1]).float().abs().mean(1)  # (4, h, w)
    share, quadrant = (change / change.sum(0)).max(0)
    if min(share.shape) < 4 or not share.mean() > 0.35:  # a quarter each says nothing
        return False
    below, right = (torch.linspace(-1, 1, side, device=share.device) for side in share.shape)
    expected = 2 * (below > 0)[:, None] + (right > 0)[None]
    inside = (below.abs() > 1e-3)[:, None] & (right.abs() > 1e-3)[None]  # of an odd grid, not the middle
    return bool((quadrant == expected)[inside].float().mean() < 0.75)
