"""Label images that people and the field's tools can read."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def voc_palette() -> list[int]:
    """The colour map of PASCAL VOC: 256 RGB triples, flat."""
    colours = np.zeros((256, 3), np.uint8)
    index = np.arange(256)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return colours.ravel().tolist()


PALETTE = voc_palette()


def encode_labels(labels: NDArray[np.uint8]) -> bytes:
    """A label image (H, W) as a PNG with the VOC palette."""
    picture = Image.fromarray(labels)
    picture.putpalette(PALETTE)
    return encoded(picture, "PNG")


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    """The file that a picture makes in one of PIL's formats."""
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def overlay(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Image.Image:
    """The photo, uint8 (H, W, 3), with each label's colour over it; background stays as it is."""
    colours = np.array(PALETTE, np.float32).reshape(256, 3)[labels]
    alpha = np.where(labels > 0, 0.55, 0.0)[..., None]
    return Image.fromarray((pixels * (1 - alpha) + colours * alpha).astype(np.uint8))
