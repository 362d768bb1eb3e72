"""Weights of other layouts against torchvision's own network; smaller strides; transformers of tokens."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from beyondcam.classifier import build_classifier
from conftest import complaint


def shuffled(network: nn.Module) -> nn.Module:
    """With weights and running statistics that no default has."""
    generator = torch.Generator().manual_seed(0)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand(tensor.shape, generator=generator) * 0.2 + 0.01)
    return network.eval()


@pytest.fixture
def x() -> Tensor:
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def test_torchvisions_file_gives_timms_network_torchvisions_features(tmp_path: Path, x: Tensor) -> None:
    theirs = shuffled(torchvision.models.resnet18())
    torch.save(theirs.state_dict(), tmp_path / "resnet18.pth")
    ours = build_classifier("resnet18", ("a", "b"), 64, weights=tmp_path / "resnet18.pth").eval()
    features = nn.Sequential(*list(theirs.children())[:-2])
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(x), features(x))


def test_timms_safetensors_give_timms_features(tmp_path: Path, x: Tensor) -> None:
    theirs = shuffled(timm.create_model("resnet18"))
    save_file(theirs.state_dict(), tmp_path / "resnet18.safetensors")
    ours = build_classifier("resnet18", ("a", "b"), 64, weights=tmp_path / "resnet18.safetensors").eval()
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(x), theirs.forward_features(x))


@pytest.mark.parametrize("stride", [8, 16])
def test_smaller_output_stride_gives_a_finer_map_of_the_same_values(
    tmp_path: Path, x: Tensor, stride: int
) -> None:
    torch.save(shuffled(torchvision.models.resnet18()).state_dict(), tmp_path / "resnet18.pth")
    coarse, fine = (
        build_classifier("resnet18", ("a",), 64, weights=tmp_path / "resnet18.pth", output_stride=s).eval()
        for s in (32, stride)
    )
    with torch.no_grad():
        a, b = coarse.backbone(x), fine.backbone(x)
    assert b.shape[2:] == (64 // stride, 64 // stride)
    every = 32 // stride
    torch.testing.assert_close(b[:, :, ::every, ::every], a, rtol=1e-5, atol=1e-5)


def test_a_backbone_with_its_channels_last_is_turned(x: Tensor) -> None:
    swin = "swin_tiny_patch4_window7_224,img_size=64,embed_dim=24"
    classifier = build_classifier(swin, ("a", "b"), 64).eval()
    with torch.no_grad():
        scores, activations = classifier(x)
        theirs = classifier.backbone.trunk(x)  # (B, h, w, K)
    assert activations.shape == (2, 2, 2, 2)
    torch.testing.assert_close(activations[:, :, 0, 1], theirs[:, 0, 1] @ classifier.weight[:, :, 0, 0].T)
    torch.testing.assert_close(scores, activations.mean((2, 3)))


def test_a_backbone_without_features_is_refused() -> None:
    complaint(lambda: build_classifier("efficientvim_m1", ("a", "b"), 224), "backbone: efficientvim_m1")


VIT = "vit_tiny_patch16_224,img_size=64,patch_size=8,depth=2"


def test_a_transformer_s_activations_are_its_tokens_by_the_head_and_their_mean_is_the_score(
    x: Tensor,
) -> None:
    torch.manual_seed(0)
    classifier = build_classifier(VIT, ("a", "b", "c"), 64).eval()
    theirs = timm.create_model("vit_tiny_patch16_224", img_size=64, patch_size=8, depth=2, num_classes=0)
    theirs.load_state_dict(classifier.backbone.trunk.state_dict())
    with torch.no_grad():
        scores, activations = classifier(x)
        tokens = theirs.eval().forward_features(x)
    assert activations.shape == (2, 3, 8, 8)
    torch.testing.assert_close(scores, activations.mean((2, 3)))
    head = classifier.weight.detach()[:, :, 0, 0]
    for row, column in ((0, 0), (3, 5), (7, 7)):  # of the patches, by rows, after the class token
        own = tokens[:, 1 + 8 * row + column] @ head.T
        torch.testing.assert_close(activations[:, :, row, column], own)


def test_a_transformer_s_grid_covers_inputs_of_any_size(x: Tensor) -> None:
    classifier = build_classifier("vit_tiny_patch16_224,depth=1", ("a",), 64).eval()
    for side, grid in ((64, 4), (96, 6), (72, 4), (88, 6), (8, 1)):
        inputs = torch.nn.functional.interpolate(x, side).requires_grad_()
        scores, activations = classifier(inputs)
        assert activations.shape == (2, 1, grid, grid)
        (gradient,) = torch.autograd.grad(scores.sum(), inputs)
        assert gradient.abs().amax(1).gt(0).float().mean() > 0.9  # up to the border


def test_a_transformer_takes_its_own_weights_at_another_input_size(tmp_path: Path) -> None:
    theirs = timm.create_model("vit_tiny_patch16_224", depth=1)
    save_file(theirs.state_dict(), tmp_path / "vit.safetensors")
    ours = build_classifier("vit_tiny_patch16_224,depth=1", ("a",), 64, weights=tmp_path / "vit.safetensors")
    assert torch.equal(ours.backbone.trunk.pos_embed, theirs.pos_embed)


@pytest.mark.parametrize(
    ("backbone", "named"),
    [
        ("vit_tiny_patch16_224,patch_size", "patch_size"),
        ("vit_tiny_patch16_224,checkpoint_path=x.pth", "checkpoint_path"),
        ("vit_tiny_patch16_224,patches=8", "patches"),
        ("vit_tiny_patch16_224,patch_size=0", "patch_size=0"),
        ("resnet18,global_pool=1", "global_pool"),
        ("resnet81,depth=1", "resnet81"),
    ],
)
def test_options_that_are_no_numbers_or_not_the_network_s_are_one_line(backbone: str, named: str) -> None:
    complaint(lambda: build_classifier(backbone, ("a",), 64), "backbone: ", named)


@pytest.mark.parametrize(
    ("name", "content"), [("empty.pth", b""), ("torn.pth", b"PK\3\4" + bytes(99)), ("empty.safetensors", b"")]
)
def test_a_damaged_file_of_weights_is_one_line(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    complaint(
        lambda: build_classifier("resnet18", ("a",), 64, weights=tmp_path / name),
        f"{name}: not a weights file",
    )
    complaint(
        lambda: build_classifier("resnet18", ("a",), 64, weights=tmp_path / "none.pth"),
        "none.pth: no such weights file",
    )
