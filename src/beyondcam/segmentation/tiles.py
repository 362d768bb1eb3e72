"""Photos far larger than a network sees: windows that overlap, their logits blended into those of the whole.

What a network says near the edge of a window it says without having seen what lies beyond. So a margin there
counts for nothing, and inside of it windows fade into each other. A network whose answer at a pixel depends
on no more than the margin around it gives exactly what it would give of the whole photo.
"""

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

Window = tuple[int, int, int, int]
"""(top, left, bottom, right) in pixels of the photo, the last two exclusive."""

MARGIN = 8
"""The share of a window's side that its margin takes, and that it fades over, is one in so many."""


def blended(
    logits: Callable[[Window], Tensor], size: tuple[int, int], tile: int
) -> Iterator[tuple[int, Tensor]]:
    """The logits of a photo, a band of rows after the other, so that those of the whole are never held.

    Parameters
    ----------
    logits
        of a window, (L, h, w) of any size.
    size
        (H, W) of the photo.
    tile
        side of the windows, pixels; at most the photo's.

    Yields
    ------
    The first row of a band, and its logits (L, rows, W).

    """
    height, width = size
    tops, lefts = _starts(height, tile), _starts(width, tile)
    carried: tuple[Tensor, Tensor] | None = None  # of the rows that the windows above reach
    for n, top in enumerate(tops):
        bottom, until = min(top + tile, height), tops[n + 1] if n + 1 < len(tops) else height
        total, weight = _row(logits, (top, bottom), lefts, width, tile, (n == 0, bottom == height))
        if carried:
            reach = carried[1].shape[0]
            total[:, :reach] += carried[0]
            weight[:reach] += carried[1]
        yield top, total[:, : until - top] / weight[: until - top]
        carried = total[:, until - top :], weight[until - top :]


def _row(
    logits: Callable[[Window], Tensor],
    rows: tuple[int, int],
    lefts: list[int],
    width: int,
    tile: int,
    at_edge: tuple[bool, bool],
) -> tuple[Tensor, Tensor]:
    """The weighted sum (L, h, W) of the windows beside each other in some rows, and the weights (h, W)."""
    top, bottom = rows
    down = _fade(bottom - top, tile, at_edge)
    total, weight = torch.zeros(0), torch.zeros(0)
    for left in lefts:
        right = min(left + tile, width)
        own = logits((top, left, bottom, right))
        own = F.interpolate(own[None], (bottom - top, right - left), mode="bilinear")[0]  # (L, h, w)
        if not len(total):
            total = own.new_zeros(len(own), bottom - top, width)
            weight = own.new_zeros(bottom - top, width)
        share = (down[:, None] * _fade(right - left, tile, (left == 0, right == width))).to(own)  # (h, w)
        total[:, :, left:right] += own * share
        weight[:, left:right] += share
    return total, weight


def _starts(extent: int, tile: int) -> list[int]:
    """Where windows begin along a side: evenly, and so close that they overlap inside of their margins."""
    if extent <= tile:
        return [0]
    count = math.ceil((extent - tile) / (tile - 3 * (tile // MARGIN))) + 1
    return [n * (extent - tile) // (count - 1) for n in range(count)]


def _fade(length: int, tile: int, at_edge: tuple[bool, bool]) -> Tensor:
    """The weights along a side (length,): 0 in the margins, rising inside of them, 1 beyond.

    There is no margin at the photo's edge.
    """
    margin = tile // MARGIN
    place = torch.arange(length) + 0.5
    first = torch.full_like(place, torch.inf) if at_edge[0] else place
    last = torch.full_like(place, torch.inf) if at_edge[1] else length - place
    return ((torch.minimum(first, last) - margin) / margin).clamp(0, 1)
