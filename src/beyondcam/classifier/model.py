"""The classifier as this package sees it: backbone → features → bias-free 1×1 head → pooled scores."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from beyondcam.errors import BeyondcamError


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
    """A network that is shown photos, and what is to be known of its input.

    Parameters
    ----------
    classes : their names.
    mean, std : of the input's three channels, for pixels in [0, 1].
    size : side in pixels of the square input it was trained at.

    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, classes: Sequence[str], mean: Sequence[float], std: Sequence[float], size: int
    ) -> None:
        super().__init__()
        self.classes = tuple(classes)
        self.size = size
        self.register_buffer("mean", torch.tensor(mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(3, 1, 1), persistent=False)

    def normalise(self, pixels: Tensor) -> Tensor:
        """uint8 (..., 3, H, W) → the network's input, float32."""
        x = pixels.to(self.mean.device, torch.float32, copy=True)
        return x.div_(255).sub_(self.mean).div_(self.std)


class Classifier(Network):
    """Any convolutional network, seen as backbone, 1×1 head and global average pooling.

    Parameters
    ----------
    backbone : maps normalised images (B, 3, H, W) to features (B, K, h, w).
    head : the last layer, `nn.Linear(K, C)` or a 1×1 `nn.Conv2d(K, C)`. A bias enters the scores only.
    classes : C names.
    mean, std : of the input's three channels, for pixels in [0, 1].
    size : side in pixels of the square input it was trained at.
    single_label : True for one class an image (softmax), False for any number (sigmoid).

    Attributes
    ----------
    checkpoint : ten hexadecimal digits of the hash of the file that it was loaded from, if any.

    """

    checkpoint: str | None = None

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
            raise BeyondcamError(f"a 1×1 head of {len(classes)} classes is needed, not {tuple(weight.shape)}")
        self.backbone = backbone
        self.weight = nn.Parameter(weight.detach().clone())
        self.bias = None if head.bias is None else nn.Parameter(head.bias.detach().clone())
        self.single_label = single_label

    def forward(self, x: Tensor) -> Activations:
        """Scores and class activations of normalised images (B, 3, H, W)."""
        features = self.backbone(x)
        if features.ndim != 4:
            raise BeyondcamError(f"the backbone gives {tuple(features.shape)}; (B, K, h, w) is needed")
        activations = nn.functional.conv2d(features, self.weight)
        scores = activations.mean((2, 3))
        return Activations(scores if self.bias is None else scores + self.bias, activations)

    def probabilities(self, scores: Tensor) -> Tensor:
        """Logits (..., C) → σ(s), or the softmax of a single-label classifier."""
        return scores.softmax(-1) if self.single_label else scores.sigmoid()
