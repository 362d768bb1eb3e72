"""The evidence of an image: √v of each target as uint8, in one lossless PNG with its facts inside."""

import io
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from torch import Tensor

from beyondcam.data import VOID
from beyondcam.decode import decoding, open_png, read_bytes
from beyondcam.errors import BeyondcamError, shape_of

LEVELS = 256
"""Levels of the stored √v; v = (level / 255)²."""

MAX_SIZE = 2**30
"""Pixels of the largest photo that evidence may be of."""


@dataclass(frozen=True)
class Evidence:
    """The evidence of one image.

    Attributes
    ----------
    levels : uint8 (k, H, W), √v of each target, v being its map divided by its own maximum.
    targets : the k classes.
    maxima : of the k raw maps.
    scores : the classifier's log-odds of the k classes, for the whole image; () of maps that it did not make.
    size : (height, width) of the picture as stored; H, W may be smaller.
    uncovered : share of the pixels that no view covered.
    predicted : whether the targets are what the classifier found, not what labels name.

    """

    levels: NDArray[np.uint8]
    targets: tuple[int, ...]
    maxima: tuple[float, ...]
    scores: tuple[float, ...]
    size: tuple[int, int]
    uncovered: float = 0.0
    predicted: bool = False

    @classmethod
    def of(
        cls, maps: Tensor, targets: tuple[int, ...], scores: tuple[float, ...], size: tuple[int, int],
        uncovered: float = 0.0, predicted: bool = False,
    ) -> "Evidence":  # fmt: skip
        """Evidence from maps (k, H, W), on any device, of as many targets; what is negative counts as 0.

        Raises `BeyondcamError`.
        """
        if maps.ndim != 3 or len(maps) != len(targets):
            shape = f"({len(targets)}, H, W)"
            raise BeyondcamError(
                f"{shape} is needed, one for each target, not {shape_of(maps)}", parameter="maps"
            )
        values = maps.double()
        maxima = values.amax((1, 2)).clamp_min(0)  # NaN where there is one
        if not maxima.isfinite().all():
            raise BeyondcamError("NaN or infinite numbers are no evidence", parameter="maps")
        v = values / torch.where(maxima > 0, maxima, 1)[:, None, None]
        levels = (v.clamp(0, 1).sqrt() * (LEVELS - 1)).round().to(torch.uint8)
        found = tuple(maxima.tolist())
        return cls(levels.cpu().numpy(), targets, found, scores, size, uncovered, predicted)

    def encode(self) -> bytes:
        """A grey PNG of the targets' levels one below the other, the facts in a text chunk."""
        facts = asdict(self)
        facts["shape"] = self.levels.shape
        del facts["levels"]
        text = PngImagePlugin.PngInfo()
        text.add_text("beyondcam", json.dumps(facts))
        k, height, width = self.levels.shape
        rows = self.levels.reshape(k * height, width) if k else np.zeros((1, 1), np.uint8)
        out = io.BytesIO()
        Image.fromarray(rows).save(out, "PNG", pnginfo=text, compress_level=2)
        return out.getvalue()


def read_evidence(path: Path) -> Evidence:
    """Read what `Evidence.encode` wrote. Raises `BeyondcamError`."""
    return decode_evidence(path, content_of(path))


def content_of(path: Path) -> bytes:
    """The bytes of a file of evidence. Raises `BeyondcamError`."""
    if not path.exists():
        raise BeyondcamError(f"{path}: no evidence; `beyondcam map` makes it, or says why not")
    with decoding(path, "evidence"):
        return read_bytes(path)


def decode_evidence(path: Path, content: bytes) -> Evidence:
    """The evidence in the bytes of a file. Raises `BeyondcamError`."""
    try:
        with decoding(path, "evidence"), open_png(io.BytesIO(content), len(content)) as picture:
            facts = _facts(picture)
            shape = facts.pop("shape")
            levels = np.asarray(picture).reshape(shape) if shape[0] else np.zeros(shape, np.uint8)
            return Evidence(levels, **facts)
    except BeyondcamError as error:
        raise BeyondcamError(f"{error}; delete it, and run `beyondcam map` again") from error


def targets_in(content: bytes) -> tuple[tuple[int, ...], bool] | None:
    """The targets that a file of evidence is of, and whether they are `predicted`; None of other bytes."""
    try:
        with open_png(io.BytesIO(content), len(content)) as picture:
            facts = _facts(picture)
            return facts["targets"], facts["predicted"]
    except Exception:  # Pillow raises what it likes on a broken file
        return None


def _facts(picture: PngImagePlugin.PngImageFile) -> dict[str, Any]:
    """The facts in a file's header, checked. Raises `ValueError`, `LookupError` or `TypeError`."""
    facts = json.loads(picture.info["beyondcam"])  # `text` would decode the pixels too
    shape, targets, maxima, scores, size = (
        tuple(facts[key]) for key in ("shape", "targets", "maxima", "scores", "size")
    )
    uncovered, predicted = float(facts["uncovered"]), facts.get("predicted", False)  # once it was not written
    k, height, width = shape
    whole = (*shape, *targets, *size)
    if (
        any(type(n) is not int or n < 0 for n in whole)
        or len(size) != 2
        or not 0 < math.prod(size) <= MAX_SIZE
    ):
        raise ValueError("its facts are no numbers of pixels and classes")
    if (picture.width, picture.height) != ((width, k * height) if k else (1, 1)):
        raise ValueError("its facts are not of this picture")
    if len(targets) != k or len(set(targets)) != k or max(targets, default=0) >= VOID - 1 or len(maxima) != k:
        raise ValueError("its facts are not of as many classes as its maps")
    if len(scores) not in (0, k) or not all(type(n) in (int, float) for n in (*maxima, *scores)):
        raise ValueError("its facts are no scores")
    if not 0 <= uncovered <= 1 or not height * width or type(predicted) is not bool:
        raise ValueError("its facts are of no map")
    return {
        "shape": shape, "targets": targets, "maxima": maxima, "scores": scores, "size": size,
        "uncovered": uncovered, "predicted": predicted,
    }  # fmt: skip


def threshold_level(threshold: float) -> int:
    """The highest level that is not above a threshold on v: `level > it` is `v > threshold`."""
    return int(threshold_levels(np.array(threshold)))


def threshold_levels(thresholds: NDArray[np.float64]) -> NDArray[np.int64]:
    """`threshold_level` of each."""
    return np.floor(np.sqrt(thresholds.clip(0, 1)) * (LEVELS - 1) + 1e-9).astype(np.int64)


def level_threshold(level: int) -> float:
    """The threshold on v that a level stands for."""
    return (level / (LEVELS - 1)) ** 2
