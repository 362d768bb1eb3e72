"""Label images as files that people and the field's tools can read.

A label image is uint8 (H, W): 0 background, k class k, 255 void.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError
from beyondcam.files import read_text, write_whole


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
    """The bytes of a picture in one of PIL's formats."""
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def overlay(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Image.Image:
    """The photo, uint8 (H, W, 3), with each label's colour over it; background stays as it is."""
    colours = np.array(PALETTE, np.float32).reshape(256, 3)[labels]
    alpha = np.where(labels > 0, 0.55, 0.0)[..., None]
    return Image.fromarray((pixels * (1 - alpha) + colours * alpha).astype(np.uint8))


def write_labels(out: Path, name: str, labels: NDArray[np.uint8], photo: Photo) -> None:
    """Write a label image as `out/masks/NAME.png`, and over its photo as `out/overlays/NAME.jpg`."""
    write_whole(out / "masks" / f"{name}.png", encode_labels(labels))
    small = np.asarray(Image.fromarray(labels).resize((photo.width, photo.height), Image.Resampling.NEAREST))
    picture = overlay(photo.pixels.permute(1, 2, 0).numpy(), small)
    write_whole(out / "overlays" / f"{name}.jpg", encoded(picture, "JPEG", quality=90))


def class_list(classes: Sequence[str]) -> str:
    """Names by line: class k is line k, as in a `folder:`."""
    return "".join(f"{name}\n" for name in classes)


def check_out(out: Path, classes: Sequence[str], data: str = "") -> None:
    """Raise `BeyondcamError` where masks must not be written to `out`.

    It must not be the folder of `data` (as `open_images` takes it), whose masks are the truth, nor hold masks
    of other classes.
    """
    if (out / "images").is_dir() or data.endswith(f":{(out / 'instances.json').resolve()}"):
        raise BeyondcamError(f"out: {out} is a folder of data, whose masks are the truth; name another")
    there = out / "classes.txt"
    if there.exists() and read_text(there) != class_list(classes):
        raise BeyondcamError(f"out: {out} holds masks of other classes; name another")


def check_size(photo: Photo, labels: NDArray[np.uint8]) -> None:
    """Raise `BeyondcamError` where a label image is not as large as its photo as stored."""
    if labels.shape != photo.size:
        height, width = photo.size
        raise BeyondcamError(
            f"its labels are {labels.shape[1]}×{labels.shape[0]} pixels, the image {width}×{height}; "
            "were they made of another?"
        )
