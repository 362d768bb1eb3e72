"""The study of thresholds and randomised classifiers."""

from itertools import pairwise

import pytest
import torch

from beyondcam.recipes import Cookbook
from beyondcam.studies import Workspace
from beyondcam.studies.honesty import (
    PAIR_COUNT,
    RANDOMISED,
    count_reversed,
    mean_step,
    pair_table,
    randomise_cascade,
    randomised_classifiers,
)


def test_reversed_pairs_differ_clearly_in_both_directions() -> None:
    oracle = {("a", "b"): True, ("a", "c"): False, ("b", "c"): True}
    assert count_reversed(oracle, {("a", "b"): False, ("a", "c"): False, ("c", "d"): True}) == 1
    assert count_reversed(oracle, oracle) == 0
    table = pair_table({"oracle": oracle, "fixed": {("a", "b"): False, ("b", "c"): True}})
    assert table.rows[1] == ("fixed", f"2 of {PAIR_COUNT}", "1", "1")


def test_the_cascade_ends_with_every_parameter_random_and_does_not_change_the_classifier(
    workspace: Workspace,
) -> None:
    setup = workspace.main_setup()
    setup = setup.on_images(setup.images.ids[:2])
    before = {k: v.clone() for k, v in setup.classifier.state_dict().items()}
    changed = []
    for classifier in randomised_classifiers(setup.classifier, 0):
        parameters = dict(classifier.named_parameters())
        changed.append({name for name, p in parameters.items() if not torch.equal(p, before[name])})
    assert len(changed[0]) == 1
    heads = [next(randomised_classifiers(setup.classifier, draw)).weight.clone() for draw in (0, 0, 1)]
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert all(a < b for a, b in pairwise(changed))
    assert changed[-1] == set(parameters)
    recipes = {name: Cookbook().recipe(name) for name in RANDOMISED}
    cascade = randomise_cascade(setup, recipes, draws=2)
    assert all(steps[0]["correlations"] == pytest.approx([1, 1]) for steps in cascade.values())
    assert all(max(steps[-1]["correlations"]) < 0.99 for steps in cascade.values())
    assert all(torch.equal(v, before[k]) for k, v in setup.classifier.state_dict().items())


def test_a_step_is_averaged_over_draws() -> None:
    draws = [{"correlations": [0.5, 1], "miou": 0.2}, {"correlations": [0, 0], "miou": 0.4}]
    assert mean_step(draws) == {"correlations": [0.25, 0.5], "miou": pytest.approx(0.3)}
