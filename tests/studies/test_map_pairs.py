"""Pairs of maps that differ in nothing else."""

import pytest

from beyondcam.classifier import build_classifier
from beyondcam.studies import Workspace, map_pairs
from beyondcam.studies.backbones import FROM_SCRATCH
from beyondcam.studies.workspace import mapping_cost


def test_pairs_differ_in_the_map_alone_and_see_the_same_megapixels(workspace: Workspace) -> None:
    setup, recipes = workspace.main_setup(), map_pairs.recipes()
    for pair in map_pairs.BOTH:
        a, b = recipes[pair.saliency], recipes[pair.cam]
        assert (a.source.map.kind, b.source.map.kind) == ("saliency", "cam")
        assert a.source.model_copy(update={"map": b.source.map}) == b.source
        assert a.refine == b.refine
        costs = [mapping_cost(setup, [recipe]) for recipe in (a, b)]
        assert costs[0].forward == costs[1].forward
        assert costs[1].backward == 0
        each = costs[1].megapixels / costs[1].forward
        assert costs[0].megapixels == pytest.approx(each * (costs[0].forward + costs[0].backward))


def test_networks_from_scratch_have_a_cam_of_4_by_4_or_finer() -> None:
    for name, changes, *_ in FROM_SCRATCH:
        stride = changes.get("output_stride")
        classifier = build_classifier(name, ("a",), 64, output_stride=stride).eval()
        assert map_pairs.cam_positions(classifier) == {"convnet": 256}.get(name, 16 if stride else 64)
    strided = build_classifier("resnet18", ("a",), 64).eval()
    assert map_pairs.cam_positions(strided) == 4  # what a stride of 32 leaves
    assert map_pairs.cam_positions(build_classifier("convnet", ("a",), 64).eval(), 1.5) == 576
