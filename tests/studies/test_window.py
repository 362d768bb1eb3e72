"""The study of the contribution window: where gradients are zero."""

from dataclasses import replace
from pathlib import Path

from beyondcam.studies import Workspace, run_study
from beyondcam.studies.window import SIDE, count_zero_gradients, zero_shares
from conftest import complaint
from studies.conftest import TINY, settings_of


def test_the_gradient_of_a_1x1_network_is_zero_where_every_feature_is_zero(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path, replace(TINY, images=3), None, lambda _: None)
    setup = workspace.train_setup("one", kernel=1, pool=False, size=SIDE)
    counts = count_zero_gradients(setup)
    assert counts["with ReLU"] == counts["A ≤ 0"] > 0
    assert counts["zero where A ≤ 0"] < counts["A ≤ 0"]  # pooling comes before any ReLU
    pixels = setup.images.read(setup.images.ids[0]).pixels[None]
    features = setup.classifier.backbone(setup.classifier.normalise(pixels)).detach()[0].flatten(1)
    setup.classifier.backbone[-2].bias.data -= features.quantile(0.9, 1)  # so that some features are zero
    shifted = count_zero_gradients(setup)
    assert shifted["zero where dead"] == shifted["dead"]
    assert 0 < shifted["dead"] < shifted["all"]
    wide = count_zero_gradients(workspace.train_setup("three", kernel=3, pool=False, size=SIDE))
    assert wide["with ReLU"] < wide["A ≤ 0"]  # the window reaches a neighbour's activation


def test_shares_of_pixels_say_where_there_are_none() -> None:
    counts = {"all": 8, "dead": 0, "zero where dead": 0, "A ≤ 0": 4, "zero where A ≤ 0": 1, "with ReLU": 4}
    assert list(zero_shares(counts).values()) == ["0.0%", "none", "50.0%", "25.0%", "100.0%"]


def test_window_trains_its_own_networks(tmp_path: Path, run: Path) -> None:
    complaint(lambda: run_study("window", tmp_path, TINY, run, "", print), "run: ")


def test_a_quick_study_trains_the_fast_kernels() -> None:
    settings = settings_of("window")
    assert {*settings.slow_kernels} < {*settings.kernels}
