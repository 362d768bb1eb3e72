"""The workspace of studies: setups, evidence, scores, costs."""

import json
import shutil
from dataclasses import replace
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from beyondcam.classifier import Activations, Classifier
from beyondcam.evidence import mapper
from beyondcam.maps import run_forward
from beyondcam.perturbations import Crops, Noise
from beyondcam.recipes import Cookbook, engine
from beyondcam.studies import FULL, QUICK, Workspace
from beyondcam.studies.workspace import chance_mean_ap, mapping_cost, smoothed
from conftest import complaint
from studies.conftest import TINY


def test_a_studied_run_is_not_changed(workspace: Workspace, run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    setup = workspace.main_setup()
    workspace.map_images(setup.on_images(setup.images.ids[:1]), {"cam": Cookbook().recipe("cam")})
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_images_are_evenly_spaced_over_the_whole_split(tmp_path: Path, run: Path) -> None:
    def chosen(images: int) -> list[str]:
        budget = replace(TINY, images=images)
        return list(Workspace(tmp_path, budget, run, print).open_setup(run, "all").images.ids)

    labelled = chosen(1000)
    assert len(labelled) == 18  # of 24 discs, every fourth shows none
    where = [labelled.index(i) for i in chosen(11)]
    assert len(where) == 11
    assert (where[0], where[-1]) == (0, 16)
    assert set(np.diff(where)) == {1, 2}


def test_images_seen_in_training_are_noted(workspace: Workspace) -> None:
    count = len(workspace.main_setup().images.ids)  # the discs were trained on --split all
    assert workspace.notes["images seen in training"] == f"{count} of {count}"


def test_a_folder_with_another_classifier_is_refused(workspace: Workspace, tmp_path: Path, run: Path) -> None:
    """For example the classifier of an earlier study in the same folder."""
    earlier = tmp_path / "classifier"
    shutil.copytree(run, earlier)
    (earlier / "classifier.safetensors").write_bytes(b"another")
    complaint(workspace.main_setup, "classifier.safetensors", "another folder")
    assert (earlier / "classifier.safetensors").read_bytes() == b"another"


def test_a_classifier_trained_with_other_settings_is_refused(workspace: Workspace) -> None:
    workspace.train_setup("mine", epochs=1)
    complaint(lambda: workspace.train_setup("mine", epochs=2), "another folder", "mine")


def test_a_network_that_others_trained_is_not_trained_anew(tmp_path: Path, run: Path) -> None:
    adopted = tmp_path / "adopted"
    shutil.copytree(run, adopted)
    content = json.loads((run / "config.json").read_text())
    (adopted / "config.json").write_text(json.dumps(content | {"adopted": {"model": "timm:resnet18"}}))
    workspace = Workspace(tmp_path / "study", TINY, adopted, print)
    complaint(lambda: workspace.train_setup("seed-1", seed=1), "others trained", "`beyondcam train`")
    assert not (tmp_path / "study").exists()


def test_the_announced_cost_is_that_of_the_passes_made(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    setup = workspace.main_setup()
    recipes = {
        "cam": Cookbook().recipe("cam"),
        "few": smoothed("saliency", perturbation=Crops(n=2)),
        "more": smoothed("saliency", perturbation=Crops(n=5), weight="score"),
        "of cam": smoothed("cam", perturbation=Crops(n=7)),
        "noise": smoothed("cam", perturbation=Noise(n=3, size=0.5)),
        "affinity": Cookbook().recipe("cam+affinity"),
    }
    forwards = backwards = 0
    pixels = 0.0

    def counted_forward(classifier, inputs, targets, needs, *rest):
        nonlocal backwards, pixels
        forward = run_forward(classifier, inputs, targets, needs, *rest)
        backwards += len(forward.rows) * needs.input_gradient
        pixels += len(forward.rows) * needs.input_gradient * inputs.shape[-1] ** 2
        return forward

    def classify(classifier: Classifier, inputs: torch.Tensor) -> Activations:
        nonlocal forwards, pixels
        forwards += len(inputs)
        pixels += len(inputs) * inputs.shape[-1] ** 2
        return original(classifier, inputs)

    original = Classifier.forward
    monkeypatch.setattr(engine, "run_forward", counted_forward)
    monkeypatch.setattr(Classifier, "forward", classify)
    monkeypatch.setattr(mapper, "folded", lambda classifier: classifier)  # folding makes a pass of its own
    announced = mapping_cost(setup, recipes.values())
    workspace.map_images(setup, recipes)
    assert announced.forward == forwards == len(setup.images.ids) * (1 + 7 + 3 + 1)
    # all views that nest are differentiated, though only the five of saliency are needed
    targets = sum(len(setup.images.labels[i]) for i in setup.images.ids)
    assert announced.backward == backwards == targets * 7
    assert announced.megapixels == pytest.approx(pixels / 1e6)
    assert workspace.cost == announced


def test_the_reference_has_dr_recall_1_and_differences_are_those_of_the_rows(workspace: Workspace) -> None:
    setup = workspace.main_setup()
    recipes = {name: Cookbook().recipe(name) for name in ("cam", "saliency+smooth")}
    scores = workspace.score(setup, workspace.map_images(setup, recipes), threshold=0.3)
    for rule in ("oracle", "fixed"):
        reference, other = (scores.row(name, rule) for name in ("cam", "saliency+smooth"))
        assert reference.metrics["dr_recall"] == 1
        assert not reference.metrics["ndr_recall"]  # 0, or null where CAM finds every pixel
        for metric in ("miou", "fg_precision"):
            value, low, high = scores.difference("saliency+smooth", "cam", metric, rule)
            assert value == pytest.approx(other.metrics[metric] - reference.metrics[metric])
            assert low <= high
            assert scores.difference("cam", "saliency+smooth", metric, rule) == (-value, -high, -low)


def test_the_chance_level_is_the_mean_over_all_rankings() -> None:
    labels = [{0}, {0, 1}, {0, 1, 2}, {0, 1}, {0}, {0}]  # of the classes all, three and one of six images

    def precision(ranking: tuple[int, ...], c: int) -> float:
        ranks = [k for k, n in enumerate(ranking, start=1) if c in labels[n]]
        return float(np.mean([hits / k for hits, k in enumerate(ranks, start=1)]))

    rankings = list(permutations(range(6)))
    expected = np.mean([[precision(ranking, c) for c in range(3)] for ranking in rankings])
    assert chance_mean_ap(labels) == pytest.approx(expected)
    assert chance_mean_ap([{0}]) == 1


def test_a_weak_classifier_is_called_weak(workspace: Workspace) -> None:
    setup = workspace.main_setup()
    assert "weak" in replace(setup, mean_ap=0.3).quality
    assert "weak" not in replace(setup, mean_ap=0.9).quality
    assert "–" in replace(setup, mean_ap=None).quality


def test_the_quick_budget_alone_leaves_out_slow_parts() -> None:
    assert FULL.thorough
    assert not QUICK.thorough


def test_only_the_given_evidence_is_scored(workspace: Workspace) -> None:
    setup = workspace.main_setup()
    evidence = workspace.map_images(setup, {name: Cookbook().recipe(name) for name in ("cam", "cam-ms")})
    workspace.map_images(setup, {"cam": Cookbook().recipe("cam")}, seed=1)
    scores = workspace.score(setup, {"cam": evidence["cam"]})
    assert {(row.recipe, row.seed) for row in scores.rows} == {("cam", 0)}


def test_a_cached_result_is_computed_once_for_the_same_images(workspace: Workspace) -> None:
    made = []
    setup = workspace.main_setup()
    some = setup.on_images(setup.images.ids[:1])
    for each in (setup, setup, some, some):
        assert workspace.cached("x", each, lambda: made.append(1) or {"a": [1.5]}) == {"a": [1.5]}
    assert made == [1, 1]
