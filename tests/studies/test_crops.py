"""The study of crops: what is varied, and its tables."""

import numpy as np
import pytest

from beyondcam.evidence import Evidence
from beyondcam.studies.crops import WHOLE_IMAGE, CropsSettings, area_table, deviation
from beyondcam.studies.image_objects import ImageObject


def test_each_recipe_is_compared_once_and_one_setting_is_varied_at_a_time() -> None:
    settings = CropsSettings()
    recipes = settings.recipes()
    assert len({recipe.hash for recipe in recipes.values()}) == len(recipes)
    usual = recipes[settings.usual].source
    for name, recipe in recipes.items():
        if name.startswith("saliency") and "weight" not in name:
            assert recipe.source.model_copy(update={"perturbation": usual.perturbation}) == usual
        if "weight" in name:
            assert recipe.source.perturbation == usual.perturbation


def test_the_area_table_has_means_over_the_objects_of_a_third() -> None:
    objects = (0.1, 0.2, 0.5), (0.3, 0.4, 0.3)  # area, IoU with the whole image and with crops
    thirds = {
        name: [ImageObject("x", 0, area, {WHOLE_IMAGE: whole, "crops": crops}, {})]
        for name, (area, whole, crops) in zip(("smallest", "largest"), objects, strict=True)
    }
    table = area_table({**thirds, "none": []}, ["crops"])
    assert table.head[1:] == [
        "smallest third (10.0%–10.0% of the image)", "minus saliency",
        "largest third (30.0%–30.0% of the image)", "minus saliency", "none third (none)", "minus saliency",
    ]  # fmt: skip
    assert table.rows == [
        ["crops", "0.500 [0.500, 0.500]", "+0.300 [+0.300, +0.300]",
         "0.300 [0.300, 0.300]", "-0.100 [-0.100, -0.100]", "–", "–"],
    ]  # fmt: skip


def test_stability_is_the_deviation_over_draws_divided_by_that_over_pixels() -> None:
    """Two draws of 2 pixels, v = (1, 0.25) and (0.25, 1): by their mean 1.6 and 0.4, ±0.6 over both."""
    draws = [Evidence(np.array([[v]]), (0,), (1.0,), (0.0,), (1, 2)) for v in ((255, 127.5), (127.5, 255))]
    assert deviation(draws) == pytest.approx(1.2 / 2**0.5 / 0.6)
    assert deviation([draws[0], draws[0]]) == 0
