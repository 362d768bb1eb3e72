"""Objects of images: IoU, predictors, thirds."""

import numpy as np
import pytest

from beyondcam.evidence import Evidence
from beyondcam.studies.image_objects import in_thirds, objects_of
from beyondcam.studies.rules import gain, predictors_of
from studies.conftest import image_object


def test_an_object_is_counted_as_by_hand() -> None:
    """The class has the first three of five pixels, the last is void; CAM finds one, saliency four."""
    truth = np.array([[2, 2, 2, 0, 255]], np.uint8)

    def evidence(*levels: int) -> Evidence:
        return Evidence(np.array([[levels]], np.uint8), (1,), (1.0,), (np.log(3.0),), (1, 5))

    cam, saliency = evidence(255, 100, 90, 0, 200), evidence(250, 200, 150, 140, 255)
    maps = {"smoothed cam": cam, "saliency": saliency}
    predictors = predictors_of(maps, 10)
    assert predictors[1] == pytest.approx({
        "probability": 0.75, "cam_area": 2 / 5, "cam_positions": 4, "saliency_area": 1, "overlap": 2 / 5,
        "classes": 1,
    })  # fmt: skip
    for levels, ious in (((100, 130), (1 / 3, 3 / 4)), ((89, 200), (1, 1 / 3))):
        taus = {name: (level / 255) ** 2 for name, level in zip(maps, levels, strict=True)}
        (item,) = objects_of("x", maps, truth, taus, predictors)
        assert item.area == pytest.approx(3 / 5)
        assert item.iou == pytest.approx(dict(zip(maps, ious, strict=True)))
        assert item.predictors == predictors[1]
        assert gain(item) == pytest.approx(ious[1] - ious[0])
    assert not [*objects_of("x", maps, np.zeros_like(truth), taus, predictors)]


def test_thirds_are_as_equal_as_can_be_and_in_order() -> None:
    def area(item):
        return item.predictors["cam_area"]

    objects = [image_object(n, 0, 0, cam_area=value) for n, value in enumerate((5, 1, 3, 2, 4, 6, 6, 6))]
    thirds = in_thirds(objects, area)
    assert [list(map(area, third)) for third in thirds] == [[1, 2, 3], [4, 5], [6, 6, 6]]
    equal = [image_object(n, 0, 0, cam_area=1) for n in range(7)]
    thirds = in_thirds([*equal, image_object(7, 0, 0, cam_area=2)], area)
    assert list(map(len, thirds)) == [0, 7, 1]
    assert in_thirds([], area) == [[], [], []]
