"""What a network, or what it was published with, tells of its input and its classes."""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor, nn

from beyondcam.errors import BeyondcamError

Transform = Callable[[Image.Image], Tensor]

SIDE = 300
"""Side of the pictures that a transform is shown."""

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Mean and std of the input of all of torchvision's classifiers."""


class Input(NamedTuple):
    """What is known of a network's input; None where it is not.

    Attributes
    ----------
    mean, std : of its three channels, for pixels in [0, 1].
    size : side in pixels.
    bgr : whether the network takes the colours in the order blue, green, red.

    """

    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    size: int | None = None
    bgr: bool = False

    def or_given(
        self, mean: Sequence[float] | None, std: Sequence[float] | None, size: int | None
    ) -> tuple[Sequence[float], Sequence[float], int]:
        """All three, what is given first. Raises `BeyondcamError` where one is neither given nor known."""
        mean = self.mean if mean is None else mean
        std = self.std if std is None else std
        size = self.size if size is None else size
        if mean is None or std is None or size is None:
            missing = "mean" if mean is None else "std" if std is None else "size"
            raise BeyondcamError(
                f"the network does not tell its input's {missing}; give mean, std and size (of "
                "ImageNet often (0.485, 0.456, 0.406), (0.229, 0.224, 0.225) and 224), or to `wrap` the "
                "transform that it was trained with",
                parameter=missing,
            )
        return mean, std, size


def find_input(
    net: nn.Module, weights: Any = None, processor: Any = None, transform: Transform | None = None
) -> Input:
    """What torchvision's `weights`, transformers' `processor`, a `transform` or timm's network say."""
    if weights is not None:
        if not callable(getattr(weights, "transforms", None)):
            raise BeyondcamError(
                "torchvision's are needed, such as ResNet50_Weights.DEFAULT", parameter="weights"
            )
        return measure("weights", weights.transforms())
    if processor is not None:
        images = getattr(processor, "image_processor", processor)
        return measure("processor", lambda x: images(images=x, return_tensors="pt")["pixel_values"][0])
    if transform is not None:
        return measure("transform", transform)
    config = getattr(net, "pretrained_cfg", None)
    if isinstance(config, dict) and {"mean", "std", "input_size"} <= config.keys():
        return Input(config["mean"], config["std"], config["input_size"][-1])
    size = getattr(getattr(net, "config", None), "image_size", None)
    return Input(size=size if isinstance(size, int) else None)


def measure(name: str, transform: Transform) -> Input:
    """What a transform does, read off what it makes of four pictures of one colour; it is named in errors."""
    black, grey, white, red = (
        _shown(name, transform, colour) for colour in ((0,) * 3, (51,) * 3, (255,) * 3, (255, 0, 0))
    )
    side, *_ = {*black.shape[1:]}
    if black.shape != (3, side, side):
        raise BeyondcamError(
            f"makes {tuple(black.shape)} of a square picture, not (3, S, S); give size", parameter=name
        )
    low, fifth, high, first = (x[:, side // 2, side // 2].double() for x in (black, grey, white, red))
    straight, swapped = torch.tensor([[True, False, False], [False, False, True]])
    bgr = torch.equal(first, torch.where(swapped, high, low))
    plain = torch.allclose(fifth, low + 0.2 * (high - low), atol=1e-4) and bool((high > low).all())
    if not plain or not (bgr or torch.equal(first, torch.where(straight, high, low))):
        raise BeyondcamError(
            "does more than to resize and to scale colours; give mean, std and size", parameter=name
        )
    std = 1 / (high - low)
    mean = -low * std
    if bgr:  # ours are in the order of a photo's channels
        mean, std = mean.flip(0), std.flip(0)
    return Input([round(m, 6) + 0.0 for m in mean.tolist()], [round(s, 6) for s in std.tolist()], side, bgr)


def _shown(name: str, transform: Transform, colour: tuple[int, ...]) -> Tensor:
    """What a transform makes of a picture of one colour."""
    made = transform(Image.new("RGB", (SIDE, SIDE), colour))
    if not isinstance(made, Tensor) or made.ndim != 3:
        raise BeyondcamError(
            "makes no tensor (3, S, S) of a picture; give mean, std and size", parameter=name
        )
    return made


class Reversed(nn.Module):
    """A network that takes its colours in the order blue, green, red, as one that takes them as they are."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        """What the network gives for (B, 3, H, W) in the order red, green, blue."""
        return self.net(x.flip(1))


def find_classes(net: nn.Module, weights: Any = None) -> Sequence[str]:
    """The names that the weights or the network tell, or ImageNet's where it has 1,000 classes."""
    if weights is not None:
        return unique(weights.meta["categories"])
    known = getattr(getattr(net, "config", None), "id2label", None)
    if known:
        return unique([str(known[n]) for n in range(len(known))])
    if getattr(net, "pretrained_cfg", None) and getattr(net, "num_classes", None) == 1000:
        return imagenet_names()
    raise BeyondcamError("the network does not tell their names; give them", parameter="classes")


def imagenet_names() -> list[str]:
    """The names of ImageNet-1k's classes, each once."""
    from timm.data.imagenet_info import ImageNetInfo

    info = ImageNetInfo()
    return unique([info.index_to_description(c).split(",")[0] for c in range(1000)])


def unique(names: Sequence[str]) -> list[str]:
    """Names, a later one of a kind with the next number that is free: ImageNet has two cranes.

    >>> unique(["crane", "crane", "crane 2"])
    ['crane', 'crane 3', 'crane 2']
    """
    result: list[str] = []
    for name in names:
        numbered = (f"{name} {n}" for n in count(2))
        free = (one for one in numbered if one not in names and one not in result)
        result.append(next(free) if name in result else name)
    return result
