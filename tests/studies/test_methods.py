"""The study of methods: equal refinement, networks crossed, and figures that agree with the scores."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from beyondcam.classifier import Classifier
from beyondcam.metrics.score import score_split
from beyondcam.recipes import Item, map_items, raw_maps
from beyondcam.studies.methods import BEST, METRICS, REFINE, MethodsSettings, clear_ones, measure, refined
from beyondcam.studies.untrained import crossed, untrained
from beyondcam.studies.workspace import Setup, Workspace
from networks import photo, tiny
from small import REFERENCE, SEED, SmallRun, winners


def test_all_methods_are_refined_alike_and_differ() -> None:
    recipes = MethodsSettings().attributions()
    assert {recipe.refine for recipe in recipes.values()} == {REFINE}
    assert len({recipe.hash for recipe in recipes.values()}) == len(recipes)


def widening(seed: int) -> Classifier:
    """A network whose affinities depend on its weights: the second convolution has more channels."""
    torch.manual_seed(seed)
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Softplus(), nn.Conv2d(4, 6, 3, 1, 1), nn.Softplus())
    return Classifier(backbone, nn.Linear(6, 3), ["c0", "c1", "c2"], size=32).eval()


def test_maps_of_one_network_walk_along_the_affinities_of_another() -> None:
    one, two, recipe = widening(0), widening(1), refined("cam")
    item = Item("a", photo(), (0, 2))
    (plain,) = map_items(one, [item], {"": recipe})
    assert torch.equal(crossed(item, recipe, one, one).maps, plain[""].maps)
    raws = [raw_maps(network, [item], [recipe])[0] for network in (one, two)]
    expected = recipe.finish(item.photo, raws[0].maps, raws[1].affinities)
    found = crossed(item, recipe, one, two)
    assert torch.equal(found.maps, expected)
    assert not torch.equal(found.maps, plain[""].maps)
    assert (found.cost.forward, found.cost.backward) == (2, 0)  # the whole image, and for its affinities


def test_an_untrained_network_is_always_the_same_and_leaves_the_random_stream(
    workspace: Workspace,
) -> None:
    setup = workspace.main_setup()
    torch.manual_seed(3)
    networks = [untrained(setup) for _ in range(2)]
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    (first, second), trained = [dict(n.named_parameters()) for n in networks], setup.classifier
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(networks[0].weight, trained.weight)


def test_mious_are_those_of_the_scores_and_only_clear_differences_get_a_star(tmp_path: Path) -> None:
    small = SmallRun(tmp_path, tuple("abcdef"))
    shelves = {
        name: small.put(recipe, winners(own))
        for name, recipe, own in (
            (BEST, "cam", REFERENCE),
            ("other", "crops", SEED),
            ("same", "cam-ms", REFERENCE),
        )
    }
    scores = score_split(small.run, small.images(), small.masks())
    rows = {name: scores.row(shelf.name) for name, shelf in shelves.items()}
    setup = Setup(small.run, tiny(2), small.images(), small.masks(), None, 0.5)
    methods = measure(setup, small.ids, shelves, rows)
    for name, method in methods.items():
        assert method.samples.keys() == METRICS.keys()
        np.testing.assert_allclose(method.samples["mIoU"][0], rows[name].miou)
        np.testing.assert_allclose(np.quantile(method.samples["mIoU"][1:], 0.5), rows[name].miou)
    assert clear_ones(methods, "mIoU") == {"other"}  # all images are alike, so is every resample
