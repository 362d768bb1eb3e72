"""Label images of COCO's instances: polygons and runs, checked before they are painted."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as rle

from beyondcam.data.coco import photo_path
from beyondcam.data.instances import Instances, Values
from beyondcam.data.photo import VOID
from beyondcam.decode import read_header, upright
from beyondcam.errors import BeyondcamError

MAX_SIZE = 2**28
"""Pixels of the largest image that is painted."""

MAX_EDGE = 2_000_000
"""Length in pixels of all edges of an instance's polygons; pycocotools takes some hundred bytes a pixel."""


def paint(
    folder: Path, file: Path, content: Instances, image_id: int, *, crowds: bool = False
) -> NDArray[np.uint8]:
    """The label image (H, W) of an image, upright: class k in the order of the categories.

    Crowds are void, and painted first; with `crowds` they are of their class, as all else is. Larger
    instances come before smaller ones, so that none hides a smaller one. Raises `BeyondcamError`.
    """
    numbers = {category: k for k, category in enumerate(content.categories, start=1)}
    try:
        if problem := content.problems.get(image_id):
            raise ValueError(problem)
        size, orientation = _size(folder, file, content, image_id)
        mask = np.zeros(size, np.uint8)
        values = [
            (VOID if a.get("iscrowd") and not crowds else numbers[a["category_id"]], a)
            for a in content.annotations.get(image_id, ())
        ]
        for value, a in sorted(values, key=lambda pair: (pair[0] != VOID, -_area(pair[1], size))):
            mask[_inside(a, size)] = value
    except ValueError as error:
        raise BeyondcamError(f"{file}: image {image_id}: {error}") from error
    return upright(mask, orientation)


def _size(folder: Path, file: Path, content: Instances, image_id: int) -> tuple[tuple[int, int], int]:
    """(height, width) of the picture that was annotated, and the orientation that turns it upright.

    Photos are shown upright. Whether annotations were made of the upright photo or of the stored one is told
    by the image's size; raises `ValueError` where it is the same for both.
    """
    picture = content.pictures[image_id]
    size, orientation = picture.size, 1
    try:
        header = read_header(photo_path(folder, file, str(image_id), picture))
    except BeyondcamError:
        if size is None:
            raise
    else:
        size = size or header.upright
        if header.orientation > 1 and header.stored == header.upright:
            raise ValueError(
                f"{picture.file_name} is turned by its EXIF orientation, and its size does not say whether "
                "its annotations are; save it upright"
            )
        if size not in (header.stored, header.upright):
            raise ValueError(
                f"is {size[1]}×{size[0]} here, {header.upright[1]}×{header.upright[0]} as a photo"
            )
        orientation = header.orientation if size == header.stored else 1
    if math.prod(size) > MAX_SIZE:
        raise ValueError(f"has {math.prod(size) / 1e6:.0f} megapixels")
    return size, orientation


def _area(annotation: Values, size: tuple[int, int]) -> float:
    area = annotation.get("area")
    if not isinstance(area, (int, float)) or not 0 < area < math.inf:
        area = int(_inside(annotation, size).sum())
    return area


def _inside(annotation: Values, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels (H, W) of an instance. Raises `ValueError`."""
    shape = annotation.get("segmentation")
    try:
        return _of_runs(shape, size) if isinstance(shape, dict) else _of_polygons(shape, size)
    except ValueError as error:
        raise ValueError(
            f"annotation {annotation.get('id')!r:.100}: unusable segmentation ({error})"
        ) from error


def _of_polygons(polygons: Any, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels inside of polygons [x, y, x, y, …], by the rules of pycocotools."""
    if not isinstance(polygons, list) or not polygons:
        raise ValueError("there is none")
    rings: list[list[float]] = []
    edge = 0.0
    for polygon in polygons:
        try:
            points = np.asarray(polygon, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise ValueError("a polygon is a list of numbers") from None
        if points.ndim != 1 or len(points) % 2 or len(points) < (4 if rings else 6):
            raise ValueError("a polygon is a list of pairs of numbers, at least three")
        if not np.abs(points).max() < 1e6:
            raise ValueError("a polygon goes far beyond the image")
        rings.append(points.tolist())
        edge += float(np.abs(points.reshape(-1, 2) - np.roll(points, 2).reshape(-1, 2)).max(1).sum())
    if edge > MAX_EDGE:
        raise ValueError(f"its edges are {edge:.0f} pixels long")
    return rle.decode(rle.merge(rle.frPyObjects(rings, *size))) > 0


def _of_runs(shape: Values, size: tuple[int, int]) -> NDArray[np.bool_]:
    """The pixels of runs down the columns, outside and inside in turn."""
    if shape.get("size") != list(size):
        raise ValueError(f"its size is {shape.get('size')!r:.100}, the image's {list(size)}")
    counts = shape.get("counts")
    if isinstance(counts, str):
        runs = _unpacked(counts)
    elif isinstance(counts, list) and all(isinstance(n, int) and 0 <= n <= MAX_SIZE for n in counts):
        runs = np.asarray(counts, np.int64)
    else:
        raise ValueError("its counts are no text and no whole numbers")
    pixels = math.prod(size)
    if runs.min(initial=0) < 0 or runs.sum() > pixels:
        raise ValueError(f"its counts are not of {pixels} pixels")
    inside = np.zeros(pixels, np.bool_)
    filled = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    inside[: len(filled)] = filled
    return inside.reshape(size[::-1]).T


def _unpacked(text: str) -> NDArray[np.int64]:
    """The counts in COCO's packed text.

    Each is a number of five bits a character, the lowest first, the sixth bit saying that more follow; from
    the fourth on they are differences to the last but one.
    """
    bits = np.frombuffer(text.encode("ascii", "replace"), np.uint8).astype(np.int64) - 48
    ends = np.flatnonzero(~bits & 32)
    if not len(bits) or bits.min() < 0 or bits.max() > 63 or bits[-1] & 32:
        raise ValueError("its counts are no packed numbers")
    starts = np.append(0, ends[:-1] + 1)
    lengths = ends - starts + 1
    if lengths.max() > 7:
        raise ValueError("its counts are too large")
    places = 5 * (np.arange(len(bits)) - np.repeat(starts, lengths))
    runs = np.add.reduceat((bits & 31) << places, starts)
    runs -= (bits[ends] >> 4 & 1) << 5 * lengths
    for first in (1, 2):
        runs[first::2] = np.cumsum(runs[first::2])
    return runs
