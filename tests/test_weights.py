"""Weights of other layouts against torchvision's own network; smaller strides against the full one."""

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from beyondcam.classifier import build


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
    ours = build("resnet18", ("a", "b"), 64, weights=tmp_path / "resnet18.pth").eval()
    features = nn.Sequential(*list(theirs.children())[:-2])
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(x), features(x))


def test_timms_safetensors_give_timms_features(tmp_path: Path, x: Tensor) -> None:
    theirs = shuffled(timm.create_model("resnet18"))
    save_file(theirs.state_dict(), tmp_path / "resnet18.safetensors")
    ours = build("resnet18", ("a", "b"), 64, weights=tmp_path / "resnet18.safetensors").eval()
    with torch.no_grad():
        torch.testing.assert_close(ours.backbone(x), theirs.forward_features(x))


@pytest.mark.parametrize("stride", [8, 16])
def test_smaller_output_stride_gives_a_finer_map_of_the_same_values(
    tmp_path: Path, x: Tensor, stride: int
) -> None:
    torch.save(shuffled(torchvision.models.resnet18()).state_dict(), tmp_path / "resnet18.pth")
    coarse, fine = (
        build("resnet18", ("a",), 64, weights=tmp_path / "resnet18.pth", output_stride=s).eval()
        for s in (32, stride)
    )
    with torch.no_grad():
        a, b = coarse.backbone(x), fine.backbone(x)
    assert b.shape[2:] == (64 // stride, 64 // stride)
    every = 32 // stride
    torch.testing.assert_close(b[:, :, ::every, ::every], a)
