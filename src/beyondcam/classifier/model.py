"""The classifier as this package sees it: backbone → features → 1×1 head → pooled scores."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NamedTuple

import torch
from torch import Tensor, nn

from beyondcam.classifier.hashing import digest
from beyondcam.errors import BeyondcamError, one_line, shape_of


class Activations(NamedTuple):
    """What one forward pass gives.

    Attributes
    ----------
    scores : float (B, C), logits.
    activations : float (B, C, h, w), the class activations A. Since pooling and the 1×1 head commute,
        their spatial mean is the scores (but for the head's bias), and A is the CAM.

    """

    scores: Tensor
    activations: Tensor


class Network(nn.Module):
    """A network that takes photos, with the mean, std and size of its input.

    Parameters
    ----------
    classes : their names, each once.
    mean, std : of the input's three channels, for pixels in [0, 1].
    size : side in pixels of the square input it was trained at.

    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, classes: Sequence[str], mean: Sequence[float], std: Sequence[float], size: int
    ) -> None:
        super().__init__()
        check_classes(classes)
        check_channels(mean, std)
        if not isinstance(size, int) or size < 1:
            raise BeyondcamError(f"a positive number of pixels is needed, not {size!r}", parameter="size")
        self.classes = tuple(classes)
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return next(self.parameters(), self.mean).device

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 (..., 3, H, W) → the network's input, float32."""
        x = pixels.to(self.device, torch.float32, copy=True)
        return x.div_(255).sub_(self.mean.to(x.device)).div_(self.std.to(x.device))


class Classifier(Network):
    """A classifier made of a backbone, a 1×1 head and global average pooling.

    `wrap` makes one of a network as it is; this constructor is for a backbone and a head apart, the latter
    of which it copies.

    Parameters
    ----------
    backbone : maps normalised images (B, 3, H, W) to features (B, K, h, w).
    head : the last layer, `nn.Linear(K, C)` or a 1×1 `nn.Conv2d(K, C)`. A bias enters the scores only.
    classes : C names.
    mean, std : of the input's three channels, for pixels in [0, 1].
    size : side in pixels of the square input it was trained at.
    single_label : True for one of several classes an image (softmax), False for any number (sigmoid).

    Attributes
    ----------
    checkpoint : the hash of the file that it was loaded from; None once its weights have changed.

    """

    _loaded: tuple[str | None, str] | None = None
    _pools: bool | None = None

    def __init__(
        self,
        backbone: nn.Module,
        head: nn.Linear | nn.Conv2d,
        classes: Sequence[str],
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        size: int = 224,
        *,
        single_label: bool = False,
    ) -> None:
        super().__init__(classes, mean, std, size)
        weight = head.weight if head.weight.ndim == 4 else head.weight[:, :, None, None]
        if weight.shape[2:] != (1, 1) or len(classes) != len(weight):
            raise BeyondcamError(
                f"a 1×1 head of {len(classes)} classes is needed, not {tuple(weight.shape)}", parameter="head"
            )
        self.backbone = backbone
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = None if head.bias is None else nn.Parameter(head.bias.detach().clone())
        self.single_label = checked_label(single_label, classes)

    @property
    def checkpoint(self) -> str | None:  # noqa: D102  (the class says it)
        if self._loaded is None:
            return None
        name, weights = self._loaded
        return name if digest(self) == weights else None

    @checkpoint.setter
    def checkpoint(self, name: str | None) -> None:
        self._loaded = name, digest(self)

    def forward(self, x: Tensor) -> Activations:
        """Scores and class activations of normalised images (B, 3, H, W)."""
        with taking(x):
            features = self.backbone(x.to(self.weight.dtype, copy=True))  # a first layer may work in place
        if not isinstance(features, Tensor) or features.ndim != 4:
            raise BeyondcamError(
                f"gives {shape_of(features)}; features (B, K, h, w) are needed", parameter="backbone"
            )
        if features.shape[2:] == (1, 1) and self._pools is not False:
            self._check_places(x)
        activations = nn.functional.conv2d(features, self.weight)
        scores = activations.mean((2, 3))
        scores = scores if self.bias is None else scores + self.bias
        check_gradient(x, scores)
        return Activations(scores, activations)

    def _check_places(self, x: Tensor) -> None:
        """Raise `BeyondcamError` where features have one place even for a much larger input."""
        larger = x.new_zeros(1, 3, *(4 * side for side in x.shape[2:]), dtype=self.weight.dtype)
        self._pools = False
        with suppress(BeyondcamError), evaluating(self.backbone), torch.no_grad(), taking(larger):
            self._pools = self.backbone(larger).shape[2:] == (1, 1)
        if self._pools:
            raise BeyondcamError(
                "gives one value for the whole photo, whatever its size; leave out its last pooling",
                parameter="backbone",
            )

    def probabilities(self, scores: Tensor) -> Tensor:
        """Logits (..., C) → σ(s), or the softmax of a single-label classifier."""
        return scores.softmax(-1) if self.single_label else scores.sigmoid()

    def log_odds(self, scores: Tensor) -> Tensor:
        """Logits (..., C) → those of `probabilities`, finite; a softmax's own have no fixed zero."""
        return scores.softmax(-1).logit(eps=1e-6) if self.single_label else scores


def fingerprint(classifier: Classifier) -> str:
    """Hash a classifier: evidence is kept under this name, so that no other classifier's is taken for it.

    For one that was loaded from a RUN, and whose weights have not changed since, it is that of its file, and
    of the settings of one that was adopted. Else it is of all that the classifier's function depends on:
    weights, buffers, settings of modules, classes, mean, std and size.

    Parameters
    ----------
    classifier
        on any device, in any mode; neither changes the digits.

    Returns
    -------
    Ten hexadecimal digits.

    """
    return classifier.checkpoint or digest(classifier)


def check_classes(classes: Sequence[str]) -> None:
    """Raise `BeyondcamError` unless they are names, each once."""
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise BeyondcamError(f"a list of names is needed, not {classes!r}", parameter="classes")
    twice = next((name for n, name in enumerate(classes) if name in classes[:n]), None)
    if twice is not None:
        raise BeyondcamError(
            f"{twice!r} is given twice; each class needs a name of its own", parameter="classes"
        )


def checked_label(single_label: bool, classes: Sequence[str]) -> bool:
    """Whether an image has one class. Raises `BeyondcamError` where there is but one to have."""
    if single_label and len(classes) < 2:
        raise BeyondcamError(
            "the softmax of one class is always 1; give False, for a sigmoid", parameter="single_label"
        )
    return single_label


def check_channels(mean: Sequence[float], std: Sequence[float]) -> None:
    """Raise `BeyondcamError` unless they can be the mean and std of three channels of pixels in [0, 1]."""
    for name, values, low in (("mean", mean, 0.0), ("std", std, math.ulp(0.0))):
        if len(values) != 3 or not all(low <= value <= 1 for value in values):
            given = ", ".join(f"{value:g}" for value in values)
            raise BeyondcamError(
                f"({given}) is no {name} of three channels of pixels in [0, 1]; "
                "divide by 255 what is of pixels in [0, 255]",
                parameter=name,
            )


@contextmanager
def taking(x: Tensor) -> Iterator[None]:
    """Turn what a network raises at an input (B, 3, H, W) into one line; lack of memory is left as it is."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, AssertionError, ValueError, TypeError, LookupError) as error:
        height, width = x.shape[2:]
        raise BeyondcamError(
            f"does not take inputs of 3 × {height} × {width} numbers ({one_line(error)})", parameter="network"
        ) from error


def check_gradient(x: Tensor, scores: Tensor) -> None:
    """Raise `BeyondcamError` where the gradient of scores is asked for and does not reach the input `x`."""
    if not x.requires_grad or not torch.is_grad_enabled():
        return
    nodes, seen = [scores.grad_fn], set[object]()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        if getattr(node, "variable", None) is x or node is x.grad_fn:
            return
        seen.add(node)
        nodes += [before for before, _ in node.next_functions]
    raise BeyondcamError(
        "no gradient reaches its input (is a part of it under no_grad or detached?); "
        "take a recipe without gradients, such as cam",
        parameter="network",
    )


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Have a network in evaluation mode for a while; each of its modules is left in the mode it was in.

    The flags are set rather than `eval()` called, which some networks override to do more.
    """
    training = [module for module in network.modules() if module.training]
    for module in training:
        module.training = False
    try:
        yield
    finally:
        for module in training:
            module.training = True
