"""The study of regions: counts of an image."""

import numpy as np

from beyondcam.evidence import Evidence
from beyondcam.studies.regions import SHARES, RegionsSettings, count_regions, highest


def test_the_highest_pixels_are_q_and_ties_share_what_is_left() -> None:
    values = np.array([[5, 3, 3], [3, 1, 9]])
    assert highest(values, 2).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert highest(values, 4).tolist() == [[1, 2 / 3, 2 / 3], [2 / 3, 0, 1]]
    assert highest(values, 6).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert highest(values, 0).sum() == 0


def test_regions_of_an_image_are_counted_as_by_hand() -> None:
    """One row: CAM finds the first two of four object pixels; the last two are background, one is void."""
    truth = np.array([[1, 1, 1, 1, 255, 0, 0]], np.uint8)
    cam_levels = np.array([[[200, 200, 0, 0, 0, 0, 0]]], np.uint8)
    saliency_levels = np.array([[[90, 10, 80, 30, 99, 20, 40]]], np.uint8)
    cam, saliency = (Evidence(v, (0,), (1.0,), (0.0,), (1, 7)) for v in (cam_levels, saliency_levels))
    edges = RegionsSettings().edges
    (parts, wholes), bins = count_regions(saliency, cam, truth, 100, (1, 0.1), edges)
    # two pixels in DR, so HSR is the two highest that are not void: 90 (DR) and 80 (NDR)
    assert dict(zip(SHARES, parts, strict=True)) == {
        "HSR in DR": 1, "HSR in NDR": 1, "HSR elsewhere": 0, "NDR in HSR": 1,
        "NDR above background": 1,  # 80 is above the background's median of 30, 30 is not
    }  # fmt: skip
    assert wholes.tolist() == [2, 2, 2, 2, 2]
    above, every = bins
    # NDR is 1 and 2 pixels from what CAM finds, a tenth of a window each; background 4 and 5
    assert every.sum(1).tolist() == [2, 2]
    assert above.sum(1).tolist() == [1, 1]
    near = np.digitize((0.1, 0.2, 0.4, 0.5), edges) - 1
    assert every[0][near[0]] >= 1
    assert above[0][near[0]] == 1
