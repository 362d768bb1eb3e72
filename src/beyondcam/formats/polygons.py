"""Masks as polygons along the edges of their pixels, and back."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Points = NDArray[np.float64]

MAX_EDGE = 20_000_000
"""Rows that all edges of a polygon may cross."""


def polygons_of(mask: NDArray[np.bool_]) -> list[Points]:
    """The polygons (n, 2) of (x, y) around the connected parts of a mask (H, W), exact to the pixel.

    Formats have no holes. So the outline of a hole follows in the same polygon, joined to the outer one by a
    line there and back, which encloses nothing.
    """
    parts, _ = ndimage.label(mask)
    rings: dict[int, list[Points]] = defaultdict(list)
    for ring, (x, y) in _rings(mask):
        rings[int(parts[y, x])].append(ring)
    return [_joined(some) for some in rings.values()]


def fill(mask: NDArray[np.uint8], points: Points, label: int) -> None:
    """Paint the pixels of a mask (H, W) whose middle lies inside a polygon (n, 2) of (x, y), even-odd.

    Raises `ValueError` for points that are no polygon.
    """
    height, width = mask.shape
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3 or not np.abs(points).max() < 1e6:
        raise ValueError("a polygon is a list of at least three points, near the photo")
    after = np.roll(points, -1, 0)
    down = (points[:, 1] <= after[:, 1])[:, None]  # of an edge there and back both are rounded alike
    (x, y), (x_next, y_next) = np.where(down, points, after).T, np.where(down, after, points).T
    first, last = np.ceil(np.stack([y, y_next]) - 0.5).clip(0, height).astype(int)
    crossed = last - first  # rows whose middle an edge crosses: (n,)
    if crossed.sum() > MAX_EDGE:
        raise ValueError("a polygon has too many long edges")
    edge = np.repeat(np.arange(len(x)), crossed)  # (m,), for each crossing
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(crossed) - crossed, crossed)
    slope = (row + 0.5 - y[edge]) / (y_next - y)[edge]
    column = np.ceil(x[edge] + slope * (x_next - x)[edge] - 0.5).clip(0, width).astype(int)
    top, bottom = row.min(initial=height), row.max(initial=-1) + 1
    left, right = column.min(initial=width), column.max(initial=0)
    if top >= bottom or left >= right:  # it lies beside the photo, or between the middles of pixels
        return
    crossings = np.zeros((bottom - top, right - left + 1), np.int64)  # to the left of each middle
    np.add.at(crossings, (row - top, column - left), 1)
    mask[top:bottom, left:right][crossings.cumsum(1)[:, :-1] % 2 == 1] = label


def _rings(mask: NDArray[np.bool_]) -> list[tuple[Points, tuple[int, int]]]:
    """The closed outlines of a mask, which lies at their right hand, and a pixel (x, y) of it at each.

    The outer outline of a part comes before those of its holes, since it goes along the uppermost edge.
    """
    padded = np.pad(mask, 1)
    neighbours = (padded[:-2, 1:-1], padded[1:-1, 2:], padded[2:, 1:-1], padded[1:-1, :-2])
    edges = {  # (y, x, direction) of an edge's start → its pixel
        (y + dy, x + dx, direction): (x, y)
        for direction, ((dx, dy), beyond) in enumerate(zip(_STARTS, neighbours, strict=True))
        for y, x in np.argwhere(mask & ~beyond).tolist()
    }
    unused, rings = dict.fromkeys(sorted(edges)), []
    while unused:
        start = edge = next(iter(unused))
        corners = []
        while edge in unused:
            del unused[edge]
            y, x, direction = edge
            dx, dy = _STEPS[direction]
            ways = ((y + dy, x + dx, (direction + turn) % 4) for turn in (1, 0, 3))
            edge = next(way for way in ways if way in edges)  # right first: stay around the same part
            if edge[2] != direction:
                corners.append((edge[1], edge[0]))
        rings.append((np.array(corners, np.float64), edges[start]))
    return rings


_STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
"""(x, y) of the directions: right above a pixel, down at its right, left below it, up at its left."""

_STARTS = ((0, 0), (1, 0), (1, 1), (0, 1))
"""Where the edge of each direction begins, from the upper left corner of its pixel."""


def _joined(rings: list[Points]) -> Points:
    """An outer outline and those of its holes in one."""
    joined, *holes = rings
    for hole in holes:
        at = int(np.abs(joined - hole[0]).sum(1).argmin())
        joined = np.concatenate([joined[: at + 1], hole, hole[:1], joined[at:]])
    return joined
