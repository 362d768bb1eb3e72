"""The segmentation network: any architecture of segmentation-models-pytorch over any timm encoder.

The library is imported where it is used: it takes seconds, and most commands never build a network.
"""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beyondcam.classifier import Network, check_known, load_imagenet
from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError, one_line, read_from
from beyondcam.files import read_json
from beyondcam.perturbations import View
from beyondcam.segmentation.config import SegmentConfig
from beyondcam.training.checkpoint import restore

MADE_BY = "beyondcam segment"


class Segmenter(Network):
    """A network from photos to label images.

    Parameters
    ----------
    network : maps normalised images (B, 3, S, S) to logits (B, C + 1, S, S), background first.
    classes : C names.
    mean, std, size : of the input, as a `Network` has them.
    mirror : predict the mean of the photo and its mirror image.

    """

    def __init__(
        self,
        network: nn.Module,
        classes: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        size: int,
        *,
        mirror: bool = True,
    ) -> None:
        super().__init__(classes, mean, std, size)
        self.network = network
        self.mirror = mirror

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C + 1, S, S) of normalised images (B, 3, S, S)."""
        return self.network(x)

    def averaged(self, x: Tensor) -> Tensor:
        """Logits (B, C + 1, S, S) of normalised images, the mean of each and its mirror image if `mirror`."""
        return (self(x) + self(x.flip(-1)).flip(-1)) / 2 if self.mirror else self(x)

    @torch.no_grad()
    def label(self, photo: Photo, allowed: Collection[int] | None = None) -> Tensor:
        """The label image of a photo at its size as stored: uint8 (H, W), 0 background, k class k.

        The whole photo is resized to the network's input. `allowed` limits the labels to background and these
        classes. Raises `BeyondcamError` where the network gives no numbers.
        """
        x = self.normalise(View((0, 0, photo.height, photo.width), self.size).cut(photo.pixels))[None]
        logits = self.averaged(x)
        if not logits.isfinite().all():
            raise BeyondcamError("the network gives NaN or infinite numbers for it")
        kept = range(len(self.classes)) if allowed is None else sorted(allowed)
        return _best(logits, [0, *(c + 1 for c in kept)], photo.size)


def _best(logits: Tensor, labels: Sequence[int], size: tuple[int, int]) -> Tensor:
    """The label with the highest logit, brought to `size` bilinearly; ties go to the earlier label.

    Label by label, since all of them at the size of a camera's photo would fill the memory.
    """
    best = torch.full(size, -torch.inf, device=logits.device)
    winner = torch.zeros(size, dtype=torch.uint8, device=logits.device)
    for label in labels:
        resized = F.interpolate(logits[:, label : label + 1], size, mode="bilinear")[0, 0]  # (H, W)
        winner[resized > best] = label
        best = torch.maximum(best, resized)
    return winner.cpu()


def build_segmenter(
    architecture: str,
    encoder: str,
    classes: Sequence[str],
    size: int,
    *,
    pretrained: bool = False,
    weights: Path | None = None,
    mirror: bool = True,
) -> Segmenter:
    """A new network; `pretrained` loads ImageNet weights into the encoder, `weights` those of a file.

    Raises `BeyondcamError` where architecture, encoder and size do not go together.
    """
    import segmentation_models_pytorch as smp

    check_known(encoder, "encoder")
    known = sorted(smp.MODEL_ARCHITECTURES_MAPPING)
    if architecture not in known:
        raise BeyondcamError(f"architecture: no {architecture!r}; there are {', '.join(known)}")
    labels = len(classes) + 1
    try:
        network = smp.create_model(architecture, f"tu-{encoder}", encoder_weights=None, classes=labels)
        with torch.no_grad():
            shape = tuple(network.eval()(torch.zeros(1, 3, size, size)).shape)
    except (AssertionError, KeyError, NotImplementedError, RuntimeError, TypeError, ValueError) as error:
        raise BeyondcamError(
            f"{architecture} does not go with encoder {encoder} and size {size} ({one_line(error)})",
            parameter="architecture",
        ) from None
    if shape != (1, labels, size, size):
        raise BeyondcamError(f"architecture: {architecture} gives {shape[2:]} pixels for {size} × {size}")
    trunk = network.get_submodule("encoder.model")
    if weights is not None or pretrained:
        load_imagenet(trunk, encoder, weights, "encoder")
    config: Any = trunk.pretrained_cfg
    return Segmenter(network, classes, config["mean"], config["std"], size, mirror=mirror)


def load_segmenter(folder: Path) -> Segmenter:
    """Read a segmentation network.

    Parameters
    ----------
    folder
        one that `train_segmenter` or `beyondcam segment` made.

    Returns
    -------
    In evaluation mode, on the CPU.

    Raises
    ------
    BeyondcamError
        Where there is none, or its files are damaged or do not fit each other.

    """
    about = read_json(folder / "segment.json", MADE_BY)
    try:
        config, classes = SegmentConfig.model_validate(about["config"]), tuple(about["classes"])
    except (KeyError, TypeError, ValueError) as error:
        raise BeyondcamError(
            f"{folder / 'segment.json'}: not a network's settings ({one_line(error)})"
        ) from None
    with read_from(folder / "segment.json"):
        segmenter = build_segmenter(
            config.architecture, config.encoder, classes, config.size, mirror=config.flip
        )
    restore(segmenter, folder / "network.safetensors", f"a network of {config.architecture}", MADE_BY)
    return segmenter.eval()
