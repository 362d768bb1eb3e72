"""Polygons: exact to the pixel there and back, and as other rasterisers see them."""

import numpy as np
import pytest
from pycocotools import mask as rle
from skimage.draw import polygon2mask

from beyondcam.formats.polygons import fill, polygons_of

RING = np.ones((5, 5), bool)
RING[1:4, 1:4] = False
ISLAND = RING.copy()
ISLAND[2, 2] = True
DIAGONAL = np.eye(4, dtype=bool)
TOUCHING = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [1, 1, 0, 1], [1, 1, 1, 1]], bool)  # two holes at a corner


RAGGED = """
    ####################
    .##.#.###########.##
    ###.#############...
    ###.###.#######.##.#
    ##.#################
    ##############.#.###
    ##################..
    .#####.##.#########.
    ####################
    ###############.####
    ##########.#####.##.
    ####.###############
    ##################.#
    #####.##############
"""


def blobs(seed: int, size: tuple[int, int] = (40, 60)) -> np.ndarray:
    """Random parts with holes, some of them at the border."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(np.random.default_rng(seed).normal(size=size), 2) > 0.02


def filled(mask: np.ndarray) -> np.ndarray:
    return sum((inside(polygon, mask.shape) for polygon in polygons_of(mask)), np.zeros(mask.shape, int))


def inside(points: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(size, np.uint8)
    fill(mask, points, 1)
    return mask.astype(int)


@pytest.mark.parametrize("shift", [(-100, 0), (100, 0), (0, -100), (0, 100), (0.2, 0.2)])
def test_a_polygon_beside_the_photo_paints_nothing(shift: tuple[float, float]) -> None:
    square = np.array([[10, 10], [10, 10.2], [10.2, 10.2]]) + shift
    assert not inside(square, (20, 20)).any()


def test_a_pixel_is_a_square_and_what_is_straight_has_no_corner() -> None:
    (square,) = polygons_of(np.array([[0, 0, 0], [0, 0, 1]], bool))
    assert sorted(map(tuple, square)) == [(2, 1), (2, 2), (3, 1), (3, 2)]
    (bar,) = polygons_of(np.ones((2, 9), bool))
    assert len(bar) == 4


@pytest.mark.parametrize(
    ("mask", "parts"), [(RING, 1), (ISLAND, 2), (DIAGONAL, 4), (TOUCHING, 1), (np.zeros((3, 3), bool), 0)]
)
def test_parts_and_holes_come_back_to_the_pixel(mask: np.ndarray, parts: int) -> None:
    assert len(polygons_of(mask)) == parts
    assert (filled(mask) == mask).all()  # each pixel in one polygon alone


def test_an_edge_is_rounded_alike_there_and_back() -> None:
    """Holes are joined to their part by edges that YOLO's seven digits have cross the middle of a pixel."""
    mask = np.array([[pixel == "#" for pixel in row] for row in RAGGED.split()])
    size = np.array(mask.shape[::-1])
    found = np.zeros(mask.shape, np.uint8)
    for points in polygons_of(mask):
        shares = [[float(f"{share:.7g}") for share in point] for point in points / size]
        fill(found, np.array(shares) * size, 1)
    assert (found == mask).all()


@pytest.mark.parametrize("seed", range(6))
def test_any_mask_comes_back_to_the_pixel(seed: int) -> None:
    assert (filled(blobs(seed)) == blobs(seed)).all()
    assert (filled(~blobs(seed)) == ~blobs(seed)).all()


@pytest.mark.parametrize("seed", range(3))
def test_pycocotools_fills_the_same_but_for_edges(seed: int) -> None:
    mask = np.kron(blobs(seed), np.ones((4, 4))).astype(bool)
    height, width = mask.shape
    runs = rle.frPyObjects([p.ravel().tolist() for p in polygons_of(mask)], height, width)
    theirs = rle.decode(rle.merge(runs)).astype(bool)
    assert (theirs & mask).sum() / (theirs | mask).sum() > 0.98


@pytest.mark.parametrize("seed", range(5))
def test_a_slanted_polygon_is_filled_as_scikit_image_does_it(seed: int) -> None:
    points = np.random.default_rng(seed).uniform(-20, 80, (9, 2))
    theirs = polygon2mask((50, 60), points[:, ::-1] - 0.5)
    assert (inside(points, (50, 60)) == theirs).all()


@pytest.mark.parametrize(
    "points", [[], [[1, 2]], [[1, 2], [3, 4]], [[1, 2, 3]] * 3, [[0, 0], [1, float("nan")], [2, 2]],
               [[0, 0], [1e9, 3], [2, 2]], [[0, 0], [1, 1000]] * 30_000],
)  # fmt: skip
def test_what_is_no_polygon_is_refused(points: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="polygon"):
        fill(np.zeros((1000, 1000), np.uint8), np.array(points, float), 1)
