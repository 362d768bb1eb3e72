"""RUNs of networks that others trained: every command works from there."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

import beyondcam as bc
from beyondcam.classifier import adopt_network, load_classifier
from beyondcam.classifier.build import name_and_options
from beyondcam.classifier.sources import IMPORTS, rebuild
from beyondcam.evidence import checkpoint_hash
from conftest import Command, call, complaint, make_folder, recipe_options

PLAIN: dict[str, Any] = {"mean": (0.5,) * 3, "std": (0.25,) * 3, "size": 48, "log": lambda _: None}

MODULE = """
import torch
from torch import nn

def net():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3, 2), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU()
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 2))

def number():
    return 7
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user of their own, who works in a folder of their own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def same(a: bc.Classifier, b: bc.Classifier, side: int = 48) -> None:
    x = torch.randn(2, 3, side, side)
    with torch.no_grad():
        for ours, theirs in zip(a(x), b(x), strict=True):
            assert torch.equal(ours, theirs)


def test_a_function_s_network_becomes_a_run_that_all_commands_work_from(
    beyondcam: Command, home: Path
) -> None:
    Path("mynets.py").write_text(MODULE)
    data, run = f"folder:{make_folder(home / 'discs')}", home / "run"
    done = beyondcam(
        "adopt", run, "--model", "mynets:net", "--classes", "blue,red", "--mean", 0.5, 0.5, 0.5,
        "--std", 0.25, 0.25, 0.25, "--size", 48, "--data", data, "--multi-label",
    )  # fmt: skip
    assert "importing mynets" in done.stderr
    recipes = recipe_options("cam", "saliency+smooth")
    assert call("map", run, "--split", "all", "--no-witnesses", *recipes) == 0
    assert call("score", run, "--split", "all") == 0
    assert call("seed", run, "--split", "all", "--recipe", "saliency+smooth", "--out", home / "seeds") == 0
    assert call("report", run) == 0
    photo = home / "discs" / "images" / "p00.png"
    assert call("explain", photo, "--model", run, "--recipe", "cam", "--out", "maps.png") == 0
    rows = json.loads((run / "scores.json").read_text())
    assert {row["checkpoint"] for row in rows} == {checkpoint_hash(run)}
    assert "mynets:net" in (run / "report" / "index.html").read_text()
    classifier = load_classifier(run)
    assert bc.fingerprint(classifier) == checkpoint_hash(run)
    assert not classifier.single_label
    again = ("adopt", run, "--model", "mynets:net", "--classes", "blue,red")
    complaint(lambda: call(*again), "another folder")
    training = ("train", "--data", data, "--split", "all", "--out", home / "next", "--start", run)
    complaint(lambda: call(*training), "mynets:net")


def test_a_module_is_imported_only_where_that_was_agreed_to(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("othernets.py").write_text(MODULE)
    adopt_network(home / "run", "othernets:net", ["a", "b"], **PLAIN)
    first = load_classifier(home / "run")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "of-another-user"))
    del sys.modules["othernets"]
    complaint(lambda: load_classifier(home / "run"), "othernets:net", "imported", IMPORTS)
    assert "othernets" not in sys.modules
    monkeypatch.setenv(IMPORTS, "x:y,othernets:net")
    same(load_classifier(home / "run"), first)


def test_torchvisions_and_timms_networks_with_weights_of_ones_own(home: Path) -> None:
    for kind, net in (
        ("torchvision:shufflenet_v2_x0_5", torchvision.models.shufflenet_v2_x0_5(num_classes=3)),
        ("timm:test_resnet", timm.create_model("test_resnet", num_classes=3)),
    ):
        torch.save({"model": {f"module.{k}": x for k, x in net.state_dict().items()}, "epoch": 3}, "mine.pth")
        run = home / kind.partition(":")[0]
        classifier = adopt_network(run, kind, ["a", "b", "c"], weights=Path("mine.pth"), **PLAIN)
        x = torch.randn(1, 3, 48, 48)
        with torch.no_grad():
            torch.testing.assert_close(classifier(x).scores, net.eval()(x))
        same(load_classifier(run), classifier)
        assert load_classifier(run).classes == ("a", "b", "c")
        digits = {checkpoint_hash(run)}
        for change in ({"size": 64}, {"single_label": False}):  # other maps, or other targets
            other = home / f"{run.name} {next(iter(change))}"
            made = adopt_network(other, kind, ["a", "b", "c"], weights=Path("mine.pth"), **PLAIN | change)
            assert bc.fingerprint(made) == checkpoint_hash(other) == load_classifier(other).checkpoint
            digits.add(checkpoint_hash(other))
        assert len(digits) == 3
        complaint(
            lambda kind=kind: adopt_network(home / "x", kind, ["a", "b"], weights=Path("mine.pth"), **PLAIN),
            "mine.pth",
        )


def test_timms_mean_std_and_size_are_known_and_published_weights_have_imagenets_names(home: Path) -> None:
    adopt_network(home / "run", "timm:tf_efficientnet_lite0", log=lambda _: None)
    classifier = load_classifier(home / "run")
    assert (classifier.size, len(classifier.classes)) == (224, 1000)
    own = bc.imagenet_classifier()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(classifier(x).scores, own(x).scores, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(classifier(x).activations, own(x).activations, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("model", "change", "named"),
    [
        ("resnet18", {}, ("model", "timm:NAME")),
        ("timm:resnet81", {}, ("resnet81",)),
        ("timm:resnet18,depth=x", {}, ("OPTION=NUMBER",)),
        ("timm:resnet18,nonsense=3", {}, ("model: timm cannot build resnet18,nonsense=3",)),
        ("torchvision:resnet81", {}, ("resnet81", "resnet")),
        ("mynets:missing", {}, ("mynets:missing",)),
        ("nowhere.nets:net", {}, ("nowhere",)),
        ("mynets:number", {}, ("int", "Module")),
        ("mynets:net", {"mean": None}, ("mean", "give")),
        ("mynets:net", {"classes": None}, ("classes",)),
        ("mynets:net", {"classes": ["a"]}, ("classes", "the network gives 2 scores")),
        ("mynets:net", {"weights": Path("missing.pth")}, ("missing.pth", "no such")),
        ("timm:resnet18", {"classes": None, "weights": Path("missing.pth")}, ("classes",)),
        ("mynets:net", {"prompts": ["a {}"]}, ("prompts: ", "mynets:net")),
        ("clip:x", {"size": None, "std": None}, ("mean: CLIP has its own",)),
        ("clip:x", {"mean": None, "std": None}, ("size: CLIP has its own",)),
        ("clip:x", {"mean": None, "std": None, "size": None, "single_label": False}, ("single_label: ",)),
    ],
)
def test_what_cannot_be_adopted_is_one_line_and_leaves_nothing(
    model: str, change: dict[str, Any], named: tuple[str, ...], home: Path
) -> None:
    Path("mynets.py").write_text(MODULE)
    sys.modules.pop("mynets", None)
    settings = PLAIN | {"classes": ["a", "b"]} | change
    complaint(lambda: adopt_network(home / "run", model, **settings), *named)
    assert not (home / "run").exists()


def test_an_adoption_that_was_killed_is_done_again_and_weights_of_others_stay(home: Path) -> None:
    Path("mynets.py").write_text(MODULE)
    run, settings = home / "run", PLAIN | {"classes": ["a", "b"]}
    adopt_network(run, "mynets:net", **settings)
    (run / "config.json").unlink()  # it is written last
    adopt_network(run, "mynets:net", **settings)
    assert load_classifier(run).classes == ("a", "b")
    complaint(lambda: adopt_network(run, "mynets:net", **settings), "holds a classifier already")
    (home / "own").mkdir()
    weights = (run / "classifier.safetensors").rename(home / "own" / "classifier.safetensors")
    complaint(lambda: adopt_network(weights.parent, "mynets:net", **settings), "holds a classifier already")


def test_a_damaged_run_is_one_line(home: Path) -> None:
    net = torchvision.models.shufflenet_v2_x0_5(num_classes=2)
    save_file(net.state_dict(), "net.safetensors")
    run = home / "run"
    adopt_network(run, "torchvision:shufflenet_v2_x0_5", ["a", "b"], weights=Path("net.safetensors"), **PLAIN)
    path, config = run / "classifier.safetensors", run / "config.json"
    content, settings = path.read_bytes(), config.read_text()
    path.write_bytes(content[: len(content) // 2])
    complaint(lambda: load_classifier(run), "classifier.safetensors", "not weights of torchvision:shufflenet")
    save_file({"x": torch.zeros(1)}, path)
    named = "classifier.safetensors", "not weights of torchvision:", "settings beside it"
    complaint(lambda: load_classifier(run), *named)
    path.unlink()
    complaint(lambda: load_classifier(run), "classifier.safetensors", "beyondcam adopt")
    config.write_text(settings.replace('"single_label": true', '"single_label": 7'))
    complaint(lambda: load_classifier(run), "config.json", "single_label")


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("vit_tiny_patch16_224,img_size=64,depth=2", "saliency-fine"),
        ("swinv2_tiny_window8_256,img_size=64,embed_dim=24", "fast"),
        ("swin_tiny_patch4_window7_224,img_size=64,embed_dim=24", "fast"),
    ],
)
def test_networks_that_timm_holds_to_one_size_take_those_of_recipes(name: str, recipe: str) -> None:
    plain, options = name_and_options(name)
    held = timm.create_model(plain, num_classes=2, **options).eval()
    free = rebuild(f"timm:{name}", 2, None).eval()
    free.load_state_dict(held.state_dict())
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(free(x), held(x))
        with pytest.raises((AssertionError, RuntimeError)):
            held(torch.randn(2, 3, 80, 80))
    photo = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    maps = bc.map_image(bc.wrap(free, ["a", "b"], size=64), photo, ["a"], recipe=recipe)
    assert maps.shape == (1, 50, 70)
    assert maps.max() > 0


def test_reversed_colours_are_kept(home: Path) -> None:
    pytest.importorskip("transformers", reason="transformers (the extra hf) is not installed")
    from transformers import MobileViTConfig, MobileViTForImageClassification, MobileViTImageProcessor

    torch.manual_seed(0)
    config = MobileViTConfig(
        image_size=64,
        hidden_sizes=[16, 24, 32],
        neck_hidden_sizes=[8, 8, 16, 16, 24, 24, 32],
        id2label={0: "a", 1: "b"},
        label2id={"a": 0, "b": 1},
    )
    net = MobileViTForImageClassification(config).eval()
    net.save_pretrained("hf")
    processor = MobileViTImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    processor.save_pretrained("hf")
    classifier = adopt_network(home / "run", "hf:hf", log=lambda _: None)
    assert (classifier.classes, classifier.size) == (("a", "b"), 64)
    x = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(classifier(x).scores, net(x.flip(1)).logits)
    same(load_classifier(home / "run"), classifier, 64)


def test_a_network_that_says_it_has_several_labels_is_taken_for_one(home: Path) -> None:
    pytest.importorskip("transformers", reason="transformers (the extra hf) is not installed")
    from transformers import ResNetConfig, ResNetForImageClassification

    small = {"embedding_size": 8, "hidden_sizes": [8, 8], "depths": [1, 1], "num_labels": 2}
    config = ResNetConfig(**small, problem_type="multi_label_classification")
    ResNetForImageClassification(config).save_pretrained("hf")
    assert not adopt_network(home / "said", "hf:hf", **PLAIN).single_label
    assert not load_classifier(home / "said").single_label
    assert adopt_network(home / "given", "hf:hf", single_label=True, **PLAIN).single_label


@pytest.mark.parametrize("name", ["inception_v3", "vit_b_32"])
def test_published_weights_of_torchvision_see_what_torchvision_shows_them(
    home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inception turns its input to a scale of its own, if it is built as for its published weights."""
    options = {"transform_input": True, "init_weights": False} if name == "inception_v3" else {}
    torch.manual_seed(0)
    theirs = torchvision.models.get_model(name, **options).eval()
    published = torchvision.models.get_model_weights(name).DEFAULT
    monkeypatch.setattr(type(published), "get_state_dict", lambda *_, **__: theirs.state_dict())
    classifier = adopt_network(home / "run", f"torchvision:{name}", log=lambda _: None)
    x = torch.randn(1, 3, classifier.size, classifier.size)
    with torch.no_grad():
        expected = theirs(x)
        torch.testing.assert_close(classifier(x).scores, expected)
        torch.testing.assert_close(load_classifier(home / "run")(x).scores, expected)


def test_torchvisions_weights_under_a_name_of_timm_keep_torchvisions_scale(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """timm's default weights of this network take another mean and std; torchvision has none as small."""
    vit = partial(torchvision.models.VisionTransformer, 224, 16, 12, 3, 192, 768)
    monkeypatch.setattr(torchvision.models, "get_model", lambda _, image_size=224, **options: vit(**options))
    torch.save(vit(num_classes=2).state_dict(), "vit.pth")
    known = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    ours = timm.create_model("vit_tiny_patch16_224").pretrained_cfg
    assert tuple(ours["mean"]) != known["mean"]
    model = "timm:vit_tiny_patch16_224"
    classifier = adopt_network(home / "run", model, ["a", "b"], weights="vit.pth", log=lambda _: None)
    for part, values in known.items():
        assert getattr(classifier, part).flatten().tolist() == pytest.approx(values)
