"""Rules that choose a map without masks."""

import numpy as np
import pytest

from beyondcam.studies.image_objects import mean_over
from beyondcam.studies.rules import PREDICTORS, Fold, describe_rule, evaluate_rules, fit_rule, gain
from studies.conftest import image_object


def test_a_rule_is_the_best_of_all_predictors_and_thresholds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        objects = [
            image_object(n, *rng.random(2), cam_area=rng.integers(4) / 4, probability=float(rng.random()))
            for n in range(12)
        ]
        rule = fit_rule(objects)
        total = sum(gain(item) * rule.uses_saliency(item) for item in objects)
        thresholds = {name: {-1.0, *(item.predictors[name] for item in objects)} for name in PREDICTORS}
        best = max(
            sum(gain(item) for item in objects if (item.predictors[name] > threshold) == above)
            for name, values in thresholds.items()
            for threshold in values
            for above in (True, False)
        )
        assert total == pytest.approx(best)


def test_a_rule_without_a_useful_predictor_always_uses_the_better_map() -> None:
    objects = [image_object(0, 0.2, 0.4), image_object(1, 0.3, 0.4)]
    assert str(fit_rule(objects)) == "always use saliency"
    assert str(fit_rule([image_object(0, 0.4, 0.2), image_object(1, 0.5, 0.4)])) == "always use CAM"
    objects = [image_object(0, 0.2, 0.4, cam_positions=3), image_object(1, 0.4, 0.2, cam_positions=5)]
    rule = fit_rule(objects)
    assert rule == ("cam_positions", 4, False)
    assert "at most 4" in str(rule)
    assert "no other objects" in describe_rule(rule, "two objects", {})


def test_a_rule_is_compared_with_the_map_that_is_better_where_it_was_fitted() -> None:
    fit = [image_object(0, 0.2, 0.6, cam_area=1), image_object(1, 0.5, 0.4, cam_area=0)]  # saliency, +0.3
    test = [image_object(2, 0.1, 0.3, cam_area=1), image_object(2, 0.8, 0.3, cam_area=0)]
    objects, by_rule, by_constant = evaluate_rules([Fold(fit, test)])
    assert objects == test
    assert by_rule == pytest.approx([0.2, 0])
    assert by_constant == pytest.approx([0.2, -0.5])
    value, interval = mean_over(objects, np.subtract(by_rule, by_constant).tolist())
    assert value == pytest.approx(0.25)
    assert interval == pytest.approx((0.25, 0.25))  # one image, whose objects are drawn together
