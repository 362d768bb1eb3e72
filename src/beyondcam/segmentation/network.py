"""The segmentation network: any architecture of segmentation-models-pytorch over any timm encoder.

The library is imported where it is used: it takes seconds, and most commands never build a network.
"""

from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from beyondcam.classifier import Network, check_known, load_imagenet, taking
from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError, one_line, read_from
from beyondcam.files import read_json
from beyondcam.perturbations import View
from beyondcam.segmentation.config import SegmentConfig
from beyondcam.segmentation.tiles import Window, blended
from beyondcam.training.checkpoint import restore

MADE_BY = "beyondcam segment"

Tta = Literal["none", "mirror", "scales"]
"""What a prediction is the mean of; "tta" is the field's word, test-time augmentation."""

SCALES, STEP = (0.75, 1.0, 1.25), 32
"""Scales of the input, whose sides are multiples of so many pixels."""


class Prediction(NamedTuple):
    """What a network says of a photo.

    Attributes
    ----------
    labels : uint8 (H, W), 0 background, k class k.
    probability : float32 (H, W), of the label of each pixel, by softmax over the labels allowed.

    """

    labels: Tensor
    probability: Tensor

    def resized(self, size: tuple[int, int]) -> "Prediction":
        """The same at another size (H, W), each pixel that of the nearest."""
        if tuple(self.labels.shape) == size:
            return self
        return Prediction(*(F.interpolate(part[None, None], size)[0, 0] for part in self))


class Segmenter(Network):
    """A network from photos to label images.

    Parameters
    ----------
    network : maps normalised images (B, 3, S, S) to logits (B, C + 1, S, S), background first.
    classes : C names.
    mean, std, size : of the input, as a `Network` has them.
    mirror : predict the mean of the photo and its mirror image.

    Attributes
    ----------
    checkpoint : hash of the file that it was read from; empty for one that was not.

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
        self.checkpoint = ""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, C + 1, S, S) of normalised images (B, 3, S, S)."""
        return self.network(x)

    def averaged(self, x: Tensor, *, mirror: bool | None = None) -> Tensor:
        """Logits (B, C + 1, S, S) of normalised images, the mean of each and its mirror image if `mirror`."""
        both = self.mirror if mirror is None else mirror
        return (self(x) + self(x.flip(-1)).flip(-1)) / 2 if both else self(x)

    def label(self, photo: Photo, allowed: Collection[int] | None = None) -> Tensor:
        """The label image of a photo, as `predict` gives it."""
        return self.predict(photo, allowed).labels

    @torch.no_grad()
    def predict(
        self,
        photo: Photo,
        allowed: Collection[int] | None = None,
        *,
        tta: Tta | None = None,
        tile: int | None = None,
    ) -> Prediction:
        """The label image of a photo at its size as stored, and how probable each label is.

        Parameters
        ----------
        photo
            any.
        allowed
            classes to which, beside background, labels are limited; by default all.
        tta
            what is averaged: the photo alone, with its mirror image, or both at the scales 3/4, 1 and 5/4; by
            default as in training.
        tile
            side of windows of the photo, pixels, that are shown one by one and blended; by default the
            whole photo is shown, resized to the network's input.

        Raises
        ------
        BeyondcamError
            Where the network gives no numbers.

        """
        kept = range(len(self.classes)) if allowed is None else sorted(allowed)
        labels = [0, *(c + 1 for c in kept)]
        if tile is None:
            whole = (0, 0, photo.height, photo.width)
            return _best(self._logits(photo, whole, tta), labels, photo.size)
        bands = [
            _best(band, labels, (band.shape[1], photo.width))
            for _, band in blended(lambda w: self._logits(photo, w, tta), (photo.height, photo.width), tile)
        ]
        joined = Prediction(*(torch.cat(parts) for parts in zip(*bands, strict=True)))
        return joined.resized(photo.size)

    def _logits(self, photo: Photo, window: Window, tta: Tta | None) -> Tensor:
        """Logits (C + 1, S, S) of a window of a photo. Raises `BeyondcamError` where they are no numbers."""
        sides = {_scaled(self.size, scale) for scale in (SCALES if tta == "scales" else (1.0,))}
        total = torch.zeros(1, device=self.device)
        for side in sorted(sides):
            x = self.normalise(View(window, side).cut(photo.pixels))[None]
            with taking(x):
                own = self.averaged(x, mirror=None if tta is None else tta != "none")
            if side != self.size:
                own = F.interpolate(own, (self.size, self.size), mode="bilinear")
            total = total + own / len(sides)
        if not total.isfinite().all():
            raise BeyondcamError("the network gives NaN or infinite numbers for it")
        return total[0]


def _scaled(size: int, scale: float) -> int:
    """The side of an input at a scale, in whole `STEP`s; a small one goes a step all the same if it can."""
    if scale == 1:
        return size
    steps = round(size * scale / STEP)
    if steps * STEP == size:
        steps += 1 if scale > 1 else -1
    return STEP * max(1, steps)


def _best(logits: Tensor, labels: Sequence[int], size: tuple[int, int]) -> Prediction:
    """The label with the highest logit, brought to `size` bilinearly; ties go to the earlier label.

    `logits` are (C + 1, h, w). Label by label, since all of them at the size of a camera's photo would fill
    the memory.
    """
    best = torch.full(size, -torch.inf, device=logits.device)
    total = best.clone()  # the logarithm of the sum of the exponentials
    winner = torch.zeros(size, dtype=torch.uint8, device=logits.device)
    for label in labels:
        resized = F.interpolate(logits[None, label : label + 1], size, mode="bilinear")[0, 0]  # (H, W)
        winner[resized > best] = label
        best = torch.maximum(best, resized)
        total = torch.logaddexp(total, resized)
    return Prediction(winner.cpu(), (best - total).exp().cpu())


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
        raise BeyondcamError(f"no {architecture!r}; there are {', '.join(known)}", parameter="architecture")
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
        raise BeyondcamError(
            f"{architecture} gives {shape[2:]} pixels for {size} × {size}", parameter="architecture"
        )
    trunk = network.get_submodule("encoder.model")
    if weights is not None or pretrained:
        load_imagenet(trunk, encoder, weights, "encoder")
    config: Any = trunk.pretrained_cfg
    return Segmenter(network, classes, config["mean"], config["std"], size, mirror=mirror)


def load_segmenter(folder: str | PathLike[str]) -> Segmenter:
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
    folder = Path(folder)
    if inside := sorted(folder.glob("segment/*/segment.json")):
        networks = " or ".join(str(file.parent) for file in inside[:3])
        raise BeyondcamError(f"{folder}: is a RUN; name a network of it, such as {networks}")
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
    segmenter.checkpoint = restore(
        segmenter, folder / "network.safetensors", f"a network of {config.architecture}", MADE_BY
    )
    return segmenter.eval()
