"""The contribution window against arithmetic by hand, published sizes and the support of the gradient."""

import math
from collections.abc import Callable
from copy import deepcopy

import pytest
import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beyondcam.classifier.convnet import convnet
from beyondcam.errors import BeyondcamError
from beyondcam.windows import Window, contribution_window


class Function(nn.Module):
    def __init__(self, function: Callable[..., Tensor], *parts: nn.Module) -> None:
        super().__init__()
        self.function, self.parts = function, nn.ModuleList(parts)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.parts)


def conv(kernel: int | tuple[int, int], **settings) -> nn.Conv2d:
    return nn.Conv2d(3, 3, kernel, **settings)


def backbone(name: str, device: str = "meta") -> nn.Module:
    """One of timm's, without its weights unless on another device than meta."""
    with torch.device(device):
        return timm.create_model(name, pretrained=False, num_classes=0, global_pool="")


def support(network: nn.Module, x: Tensor, position: int) -> Tensor:
    """Which pixels the gradient of the activations at (position, position) is not zero at: bool (H,W)."""
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    x.requires_grad_(True)
    (gradient,) = torch.autograd.grad(network(x)[0, :, position, position].sum(), x)
    return gradient[0].abs().amax(0) > 0


def square(window: Window, size: int, position: int) -> Tensor:
    """The window at a position, clipped to the image: bool (size,size)."""
    pixels = torch.arange(size) - position * window.jump
    along = (pixels >= window.low) & (pixels <= window.high)
    return along[:, None] & along


def positive(network: nn.Module) -> nn.Module:
    """A linear copy in which nothing cancels, of one channel, as each sees the same."""
    network = deepcopy(network).eval()
    for path, module in list(network.named_modules()):
        if isinstance(module, nn.Conv2d):
            ones = torch.ones(1, 1, *module.kernel_size, dtype=torch.float64)
            module.weight, module.bias, module.groups = nn.Parameter(ones), None, 1
        elif isinstance(module, nn.MaxPool2d):
            network.set_submodule(path, nn.AvgPool2d(module.kernel_size, module.stride, module.padding))
        elif isinstance(module, nn.BatchNorm2d | nn.ReLU | nn.ReLU6):  # timm's batch norms hold an activation
            network.set_submodule(path, nn.Identity())
    return network


@pytest.mark.parametrize("kernel", [1, 3, 5, 7, 9])
def test_the_convnets_windows_are_those_worked_out_by_hand(kernel: int) -> None:
    reach = 5 * (kernel - 1) // 2
    plain = contribution_window(convnet(kernel, pool=False), 64)
    assert plain == Window(-reach, reach, 1)
    assert plain.size == 1 + 5 * (kernel - 1)
    # (F - 1)·(1 + 2 + 2 + 4 + 4) by the convolutions, and 1 + 2 by the pools
    pooled = contribution_window(convnet(kernel), 64)
    assert (pooled.size, pooled.jump) == (1 + 13 * (kernel - 1) + 3, 4)


SHIFTED = Function(lambda x, one, other: one(x) + other(F.pad(x, (4, 0, 4, 0))), conv(3, padding=1), conv(5))
WRITES_TO_A_VIEW = Function(lambda x, c: (y := 1 * x, y[:, :2].add_(c(x)[:, :2]))[0], conv(3, padding=1))
BY_HAND = {
    "dilated": (nn.Sequential(conv(3, dilation=4, padding=4), conv(3)), Window(-4, 6, 1)),
    "strided, then dilated": (nn.Sequential(conv(2, stride=3), conv(3, dilation=2)), Window(0, 13, 3)),
    "kernels beside their stride": (nn.Sequential(conv(1, stride=2), conv(3, padding=1)), Window(-2, 2, 2)),
    "1×7, then 7×1": (nn.Sequential(conv((1, 7)), conv((7, 1))), Window(0, 6, 1)),
    "padding named": (conv(5, dilation=2, padding="same"), Window(-4, 4, 1)),
    "padding reflected": (conv(5, padding=2, padding_mode="reflect"), Window(-2, 2, 1)),
    "a sum of two": (SHIFTED, Window(-4, 1, 1)),
    "one within a sum": (Function(lambda x, c: x + c(x), conv(3, padding=1)), Window(-1, 1, 1)),
    "in place": (Function(lambda x, c: c(x).relu_().add_(x), conv(3, padding=1)), Window(-1, 1, 1)),
    "halves joined": (
        Function(
            lambda x, c: torch.cat([F.avg_pool2d(half, [3], 1, 1) for half in c(x).chunk(2, 1)], 1),
            nn.Conv2d(3, 4, 3),
        ),
        Window(-1, 3, 1),
    ),
    "the channels' mean as a gate": (
        Function(lambda x, c: x * c(x).mean(1, keepdim=True).sigmoid(), conv(3, padding=1)),
        Window(-1, 1, 1),
    ),
    "group norm": (nn.Sequential(conv(3, stride=2), nn.GroupNorm(1, 3)), Window(-math.inf, math.inf, 2)),
    "a pooled branch": (
        Function(lambda x: x + F.interpolate(F.adaptive_avg_pool2d(x, 1), x.shape[2:])),
        Window(-math.inf, math.inf, 1),
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_small_networks_have_the_window_worked_out_by_hand(name: str) -> None:
    network, window = BY_HAND[name]
    assert contribution_window(network, 32) == window


def test_resnet50_has_the_published_window_if_it_strides_at_the_end_of_a_stage() -> None:
    def chain(strides: list[list[int]]) -> nn.Module:
        stem = [conv(7, stride=2, padding=3), nn.MaxPool2d(3, 2, 1)]
        return nn.Sequential(*stem, *(conv(3, stride=s, padding=1) for stage in strides for s in stage))

    published = [[1, 1, 2], [1, 1, 1, 2], [1, 1, 1, 1, 1, 2], [1, 1, 1]]
    assert contribution_window(chain(published), 224).size == 483
    timms = [[1, 1, 1], [2, 1, 1, 1], [2, 1, 1, 1, 1, 1], [2, 1, 1]]
    assert contribution_window(chain(timms), 224).size == 427


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("convnet 3", 64, 30),
        ("resnet50", 480, 427),
        ("tf_efficientnet_lite0", 928, 851),
    ],
)
def test_where_nothing_cancels_the_gradients_support_is_the_window(
    name: str, size: int, expected: int
) -> None:
    network = convnet(3) if name == "convnet 3" else backbone(name)
    window = contribution_window(network, size)
    assert window.size == expected
    position = round((size / 2 - (window.low + window.high) / 2) / window.jump)
    inside = square(window, size, position)
    assert inside.sum() == expected**2  # none of it clipped
    x = torch.ones(1, 1, size, size, dtype=torch.float64)
    assert torch.equal(support(positive(network), x, position), inside)


@pytest.mark.parametrize(
    ("name", "size"), [("convnet 3", 48), ("resnet50", 224), ("tf_efficientnet_lite0", 465)]
)
def test_with_random_weights_the_gradients_support_lies_in_the_window(name: str, size: int) -> None:
    """At the corner, where half of the window is clipped, a smaller image shows pixels outside it."""
    torch.manual_seed(0)
    network = convnet(3) if name == "convnet 3" else backbone(name, "cpu")
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):  # timm begins with branches that are worth nothing
            nn.init.uniform_(module.weight, 0.5, 1.5)
    inside = square(contribution_window(network, size), size, 0)
    found = support(network.eval(), torch.randn(1, 3, size, size), 0)
    assert not inside.all()
    assert found.any()
    assert not found[~inside].any()


def test_squeeze_and_excite_sees_everything() -> None:
    window = contribution_window(backbone("mobilenetv3_small_050"), 64)
    assert window == Window(-math.inf, math.inf, 32)
    assert window.size == math.inf


def test_the_network_stays_as_it_was() -> None:
    network = convnet(3).train()
    before = deepcopy(network.state_dict())
    contribution_window(network, 32)
    assert network.training
    assert all(torch.equal(v, before[k]) for k, v in network.state_dict().items())


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Upsample(scale_factor=2), r"the effect of aten\.upsample_nearest2d"),
        (nn.ConvTranspose2d(3, 3, 2, stride=2), r"the effect of aten\.convolution"),
        (WRITES_TO_A_VIEW, r"the effect of aten\.slice_scatter"),
        (Function(lambda x, c: x + c(x), conv(32)), r"the effect of aten\.add"),
        (Function(lambda x: x[:, :, ::2, ::2]), r"the effect of aten\.slice"),
        (
            Function(lambda x, one, other: one(x) + other(x), conv(2, stride=2), conv(17)),
            r"aten\.add\.Tensor joins branches of unequal stride",
        ),
        (conv((1, 3)), r"low=0, high=0.* in height but .*low=0, high=2"),
        (Function(lambda x: F.pad(x, (0, 0, 2, 1))), r"low=-2, high=-2.* in height but .*low=0, high=0"),
        (conv(40), r"32 × 32 pixels do not pass"),
        (Function(lambda x: [x]), "not one tensor"),
        (Function(lambda x: torch.ones(1, 3, 8, 8, device=x.device)), "not one tensor"),
    ],
)
def test_what_has_no_known_window_raises_one_line(network: nn.Module, message: str) -> None:
    with pytest.raises(BeyondcamError, match=message) as caught:
        contribution_window(network, 32)
    assert "\n" not in str(caught.value)
