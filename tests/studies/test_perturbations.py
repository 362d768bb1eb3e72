"""The study of perturbations: equal cost, equal settings."""

from beyondcam.perturbations import Plain
from beyondcam.studies import Workspace
from beyondcam.studies.perturbations import MASKS, NOISES, VIEWS, by_name, perturbed_recipes
from beyondcam.studies.workspace import mapping_cost
from studies.conftest import settings_of


def test_perturbations_are_compared_at_equal_cost_with_all_else_equal(workspace: Workspace) -> None:
    setup = workspace.main_setup()
    perturbations = by_name((*NOISES, *MASKS))
    recipes = perturbed_recipes(perturbations)
    for map_name in ("saliency", "cam"):
        compared = [recipes[f"{map_name} {name}"] for name in (*perturbations, "crops")]
        costs = [mapping_cost(setup, [recipe]) for recipe in compared]
        assert all(cost == costs[0] for cost in costs)
        settings = {recipe.source.model_copy(update={"perturbation": Plain()}) for recipe in compared}
        assert len(settings) == 1
        plain = mapping_cost(setup, [recipes[f"{map_name} plain"]])
        assert costs[0].forward == (VIEWS + 1) * plain.forward  # one more for the scores
    assert len(perturbations) == len(NOISES) + len(MASKS)  # no name is given twice


def test_classifiers_are_tuned_on_perturbations_that_are_tried() -> None:
    settings = settings_of("perturbations")
    assert {*settings.quick_tuned_on} < {*settings.tuned_on}
    assert all(each in (*NOISES, *MASKS) for each in settings.quick_tuned_on)
