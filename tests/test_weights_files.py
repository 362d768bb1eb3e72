"""Weights in whatever layout a file has: the right ones are taken, or it is said which there are."""

import argparse
import contextlib
import pickle
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from beyondcam.classifier import build_classifier
from beyondcam.classifier.weights import _matched, fitting, read_states, translated
from beyondcam.errors import BeyondcamError
from conftest import complaint

tv = torchvision.models


def shuffled(network: nn.Module, seed: int = 0) -> nn.Module:
    """With weights and running statistics that no default has."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        elif tensor.is_floating_point():
            tensor.add_(torch.randn(tensor.shape, generator=generator) * 0.05)
    return network.eval()


@pytest.fixture
def small() -> nn.Module:
    return shuffled(timm.create_model("test_resnet", num_classes=3))


@pytest.fixture
def empty() -> nn.Module:
    return timm.create_model("test_resnet", num_classes=0)


def same_features(state: dict[str, Tensor], empty: nn.Module, network: nn.Module) -> None:
    empty.load_state_dict(state, strict=False)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(empty.eval().forward_features(x), network.forward_features(x))


def test_state_dicts_are_found_under_any_key_and_prefix_beside_anything(
    small: nn.Module, empty: nn.Module, tmp_path: Path
) -> None:
    state, path = small.state_dict(), tmp_path / "net.pth"
    parallel = {f"module.{key}": x for key, x in state.items()}
    deep = {f"module.encoder.{key}": x for key, x in state.items()}
    optimizer = {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]}
    files = [
        state,
        {"model": state, "epoch": 3, "args": argparse.Namespace(lr=0.1), "best": np.float64(0.7)},
        {"model_state_dict": parallel, "optimizer": optimizer},
        {"state_dict": deep | {"module.head.weight": torch.zeros(5, 7)}},
        {"generator": {"layer.weight": torch.zeros(3, 3)}, "classifier": {"net": state}},
        dict(sorted(state.items())),
    ]
    for content in files:
        torch.save(content, path)
        same_features(dict(fitting(empty, path, "test_resnet")), empty, small)
    save_file(parallel, tmp_path / "net.safetensors")
    same_features(dict(fitting(empty, tmp_path / "net.safetensors", "test_resnet")), empty, small)


def test_of_several_that_fit_one_has_to_be_named(small: nn.Module, empty: nn.Module, tmp_path: Path) -> None:
    other = shuffled(timm.create_model("test_resnet", num_classes=3), seed=1)
    path = tmp_path / "run.pth"
    torch.save({"state_dict": small.state_dict(), "state_dict_ema": other.state_dict()}, path)
    complaint(
        lambda: fitting(empty, path, "test_resnet"), "state_dict and state_dict_ema", f"{path}:state_dict"
    )
    same_features(dict(fitting(empty, Path(f"{path}:state_dict_ema"), "test_resnet")), empty, other)
    complaint(lambda: read_states(Path(f"{path}:ema")), "'ema'", "state_dict_ema")
    complaint(lambda: read_states(tmp_path / "missing.pth"), "no such weights file")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (open, ("evil.txt", "w"))


def test_damaged_empty_and_foreign_files_are_one_line_and_run_nothing(
    small: nn.Module, empty: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "net.pth"
    torch.save(small.state_dict(), path)
    content, rng = path.read_bytes(), np.random.default_rng(0)
    cut = [content[: len(content) // n] for n in (2, 3, 100)]
    for damaged in (b"", b"x" * 100, *cut, pickle.dumps(Evil()), pickle.dumps([1, 2])):
        path.write_bytes(damaged)
        complaint(lambda: read_states(path), "net.pth")
    for _ in range(60):
        broken = bytearray(content)
        for place in rng.integers(0, 3000, 8):
            broken[place] = rng.integers(256)
        path.write_bytes(bytes(broken))
        with contextlib.suppress(BeyondcamError):  # what still fits is as good as any weights
            fitting(empty, path, "test_resnet")
    assert not (tmp_path / "evil.txt").exists()
    torch.save({"epoch": 3, "names": ["a"]}, path)
    complaint(lambda: read_states(path), "holds no state dict")
    torch.save(small.state_dict(), path)
    complaint(lambda: build_classifier("resnet18", ("a",), 64, weights=path), "net.pth", "not of resnet18")


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("mobilenet_v3_small", "mobilenetv3_small_100"),  # other names, order and epsilon
        ("regnet_y_400mf", "regnety_004"),  # shortcuts first
        ("mnasnet0_5", "mnasnet_050"),
    ],
)
def test_torchvisions_layouts_become_timms_with_the_same_function(theirs: str, ours: str) -> None:
    network = shuffled(getattr(tv, theirs)(num_classes=7))
    state = translated(network.state_dict(), f"{ours},drop_rate=0.5")
    assert state is not None
    whole = timm.create_model(ours, num_classes=7).eval()
    whole.load_state_dict(state, strict=False)
    x = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(whole(x), network(x), rtol=1e-3, atol=1e-3)
    assert translated(dict(sorted(network.state_dict().items())), ours) is not None


def test_attention_and_layer_scale_are_matched_too(monkeypatch: pytest.MonkeyPatch) -> None:
    from functools import partial

    make, name = timm.create_model, "vit_tiny_patch16_224"
    vit = partial(tv.VisionTransformer, patch_size=16, num_layers=2, num_heads=3, hidden_dim=192, mlp_dim=768)
    monkeypatch.setattr(
        torchvision.models, "get_model", lambda _, **options: vit(**{"image_size": 224} | options)
    )
    monkeypatch.setattr(timm, "create_model", lambda name, **options: make(name, depth=2, **options))
    network = shuffled(vit(image_size=64, num_classes=5))
    state = translated(network.state_dict(), name)
    assert state is None  # positions of another size
    network = shuffled(vit(image_size=224, num_classes=5))
    state = translated(network.state_dict(), name)
    assert state is not None
    assert torch.equal(state["blocks.1.attn.qkv.weight"],
                       network.encoder.layers[1].self_attention.in_proj_weight)  # fmt: skip


def test_a_matrix_is_paired_with_the_convolution_of_its_rows_and_numbers() -> None:
    convolution = {"pre_logits.fc1.weight": torch.zeros(6, 2, 3, 3)}  # VGG's, in timm
    assert _matched(convolution, {"classifier.0.weight": torch.zeros(6, 18)}, apart=False) == {
        "pre_logits.fc1.weight": "classifier.0.weight"
    }
    assert _matched(convolution, {"classifier.0.weight": torch.zeros(18, 6)}, apart=False) is None


def test_a_network_of_the_same_shapes_but_another_function_is_refused(tmp_path: Path) -> None:
    network = shuffled(tv.mobilenet_v2(num_classes=3))
    torch.save(network.state_dict(), tmp_path / "net.pth")
    padded = timm.create_model("tf_mobilenetv3_small_100", num_classes=0)
    complaint(
        lambda: fitting(padded, tmp_path / "net.pth", "tf_mobilenetv3_small_100"), "not of tf_mobilenet"
    )
    small = shuffled(tv.mobilenet_v3_small(num_classes=3))
    assert translated(small.state_dict(), "mobilenetv3_small_075") is None


def test_mean_and_std_of_ones_own_weights_can_be_said(tmp_path: Path) -> None:
    ours = build_classifier("test_resnet", ("a",), 64, mean=(0.1, 0.2, 0.3), std=(0.3, 0.2, 0.1))
    torch.testing.assert_close(ours.mean.flatten(), torch.tensor([0.1, 0.2, 0.3]))
    torch.testing.assert_close(ours.std.flatten(), torch.tensor([0.3, 0.2, 0.1]))
    complaint(lambda: build_classifier("test_resnet", ("a",), 64, mean=(123, 117, 104)), "mean", "255")
