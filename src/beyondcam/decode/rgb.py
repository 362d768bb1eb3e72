"""Pictures of every mode and orientation → RGB of a limited size, a band at a time."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

BAND = 2**24
"""Pixels that are converted at once, so that no copy of a large picture is made."""

EXTRA_SAMPLES = 338
"""TIFF's tag that says what a fourth channel is: 1 or 2 for transparency."""

OUTLIER = 20
"""How many times the span of all other values a single one must lie away from them to count as no data."""

NO_DATA = (-9999, -99999, -32768, -32767, 9999, 32767, 65535)
"""Values that often mean it, which need only lie away by the span, as need those beyond ±1e30."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What turns a picture upright, by its EXIF orientation."""

Box = tuple[int, int, int, int]


def reduced_rgb(
    picture: Image.Image, orientation: int, size: tuple[int, int], max_side: int
) -> NDArray[np.uint8]:
    """A picture as uint8 (H, W, 3), upright, averaged down where its (height, width) `size` is larger.

    `picture` may itself be smaller than `size`. Raises `ValueError` where its values are not finite.
    """
    ratio = min(1.0, max_side / max(size))
    height, width = (max(1, round(side * ratio)) for side in size)
    stored = picture.size if orientation < 5 else picture.size[::-1]
    span = _span(picture) if _deep(picture) else (0.0, 255.0)
    rgb = np.empty((height, width, 3), np.uint8)
    for target, source in _bands((width, height), stored):
        whole = tuple(math.floor(edge) for edge in source[:2]) + tuple(math.ceil(edge) for edge in source[2:])
        left, top, right, bottom = whole
        band = _rgb(_cut(picture, (left, top, right, bottom), orientation, stored), span, _opaque(picture))
        wanted = (target[2] - target[0], target[3] - target[1])
        if wanted != band.size:
            inside = (source[0] - left, source[1] - top, source[2] - left, source[3] - top)
            band = band.resize(wanted, Image.Resampling.BOX, inside)
        rgb[target[1] : target[3], target[0] : target[2]] = np.asarray(band)
    return rgb


def upright(values: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """A grey picture (H, W) turned upright."""
    if orientation not in TURNS:
        return values
    return np.array(Image.fromarray(values).transpose(TURNS[orientation]))


def _bands(
    to: tuple[int, int], of: tuple[int, int]
) -> Iterator[tuple[Box, tuple[float, float, float, float]]]:
    """Boxes of a result of (width, height) `to`, and the boxes of the original they are averages of.

    They are cut across the longer side.
    """
    axis = 0 if of[0] > of[1] else 1
    step = max(1, int(BAND / (of[0] * of[1]) * to[axis]))
    for start in range(0, to[axis], step):
        end = min(start + step, to[axis])
        first, last = (edge * of[axis] / to[axis] for edge in (start, end))
        if axis == 0:
            yield (start, 0, end, to[1]), (first, 0, last, of[1])
        else:
            yield (0, start, to[0], end), (0, first, of[0], last)


def _cut(picture: Image.Image, box: Box, orientation: int, size: tuple[int, int]) -> Image.Image:
    """A box of a picture turned upright, which is then of (width, height) `size`."""
    width, height = size
    left, top, right, bottom = box
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    stored = (left, top, right, bottom) if orientation < 5 else (top, left, bottom, right)
    part = picture if stored == (0, 0, *picture.size) else picture.crop(stored)
    return part.transpose(TURNS[orientation]) if orientation in TURNS else part


def _deep(picture: Image.Image) -> bool:
    """Whether a picture is grey of more than 8 bits, which Pillow's own conversion would clip to white."""
    return picture.mode.startswith(("I", "F"))


def _opaque(picture: Image.Image) -> bool:
    """Whether the fourth channel of a TIFF is no transparency, but near infrared, say."""
    return isinstance(picture, TiffImagePlugin.TiffImageFile) and picture.tag_v2.get(EXTRA_SAMPLES) not in (
        (1,),
        (2,),
    )


def _span(picture: Image.Image) -> tuple[float, float]:
    """The values to be shown black and white: the extremes, but for single ones that stand for no data."""
    lowest: set[float] = set()
    highest: set[float] = set()
    for box, _ in _bands(picture.size, picture.size):
        values = np.asarray(picture.crop(box))
        if not np.isfinite(values).all():
            raise ValueError("it holds values that are not finite")
        low, high = values.min(), values.max()
        second = values.min(where=values > low, initial=high)
        last_but_one = values.max(where=values < high, initial=low)
        lowest |= {float(low), float(second)}
        highest |= {float(high), float(last_but_one)}
    low, *above = sorted(lowest)
    high, *below = sorted(highest, reverse=True)
    for _ in range(2):  # there may be one at either end
        if above and _apart(low, above[0], high):
            low = above[0]
        if below and _apart(high, below[0], low):
            high = below[0]
    return low, high


def _apart(value: float, neighbour: float, other: float) -> bool:
    """Whether a value stands for no data; all others lie between its `neighbour` and the `other` extreme."""
    times = 1 if value in NO_DATA or abs(value) > 1e30 else OUTLIER
    return 0 < times * abs(neighbour - other) < abs(value - neighbour)


def _rgb(band: Image.Image, span: tuple[float, float], opaque: bool) -> Image.Image:
    if _deep(band):
        low, high = span
        values = (np.asarray(band, np.float64) - low) / ((high - low) or 1) * 255
        band = Image.fromarray(values.clip(0, 255).round().astype(np.uint8))
    if opaque and band.mode == "RGBA":
        return band.convert("RGB")
    if band.mode in ("RGBA", "LA", "PA") or "transparency" in band.info:
        band = band.convert("RGBA")
        white = Image.new("RGBA", band.size, "white")
        band = Image.alpha_composite(white, band)
    return band.convert("RGB")
