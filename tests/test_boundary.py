"""Boundary IoU against its definition, pixel by pixel, and by hand."""

import numpy as np
import pytest

from beyondcam.metrics import boundary
from beyondcam.metrics.boundary import count_boundaries
from beyondcam.metrics.tally import iou

VOID = 255


def plain_band(mask: np.ndarray, reach: int) -> np.ndarray:
    """Pixels of a mask with one that is not in it within so many rows and columns, or the picture's edge."""
    height, width = mask.shape
    band = np.zeros_like(mask)
    for y, x in np.argwhere(mask):
        for v in range(y - reach, y + reach + 1):
            for u in range(x - reach, x + reach + 1):
                outside = not (0 <= v < height and 0 <= u < width)
                band[y, x] |= outside or not mask[v, u]
    return band


@pytest.mark.parametrize("reach", [1, 2, 3])
def test_counts_are_those_of_a_plain_version(reach: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(reach)
    coarse = rng.choice([0, 1, 2, VOID], (2, 4, 5), p=[0.3, 0.35, 0.25, 0.1]).astype(np.uint8)
    truth, prediction = np.kron(coarse, np.ones((6, 6), np.uint8))
    prediction[prediction == VOID] = 3
    monkeypatch.setattr(boundary, "BAND", reach / np.hypot(*truth.shape))
    known = truth != VOID
    expected = np.zeros((3, 4), int)
    for k in (1, 2, 3):
        mine, own = plain_band((prediction == k) & known, reach), plain_band(truth == k, reach)
        expected[:, k] = (mine & own).sum(), mine.sum(), own.sum()
    assert expected[:2, 1:].any(0).all()
    assert np.array_equal(count_boundaries(prediction, truth, 3), expected)


def test_a_square_that_is_too_large_by_one_pixel_has_a_low_boundary_iou() -> None:
    """In 100 × 100 pixels d is 3: a ring of 3 of a square of 20, and of one of 22 around it."""
    truth, prediction = np.zeros((2, 100, 100), np.uint8)
    truth[40:60, 40:60] = 1
    prediction[39:61, 39:61] = 1
    intersection, predicted, true = count_boundaries(prediction, truth, 1)
    assert (predicted[1], true[1]) == (22**2 - 16**2, 20**2 - 14**2)
    assert intersection[1] == 20**2 - 16**2
    assert iou(intersection, predicted, true)[1] == pytest.approx(144 / (228 + 204 - 144))
    assert np.isnan(iou(intersection, predicted, true)[0])  # background has no band


def test_a_perfect_prediction_scores_1_beside_void() -> None:
    truth = np.zeros((50, 50), np.uint8)
    truth[10:40, 10:40] = VOID
    truth[13:37, 13:37] = 1
    for prediction in (truth, np.where(truth == VOID, np.uint8(1), truth)):  # whatever it says of the void
        intersection, predicted, true = count_boundaries(prediction, truth, 1)
        assert intersection[1] == predicted[1] == true[1] > 0
