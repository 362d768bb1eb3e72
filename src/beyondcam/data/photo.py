"""Photos as tensors."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from beyondcam.decode import MAX_PIXELS, Fingerprint, read_pixels
from beyondcam.errors import BeyondcamError

VOID = 255
"""Value of a mask's pixels that are neither scored nor trained on."""

MAX_SIDE = 1024
"""Photos with a longer side than this are processed at this size; their seeds come back at full size."""

SUFFIXES = (".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Names of files that are taken for photos where no table names them."""

UNREAD = (".heic", ".heif", ".avif", ".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw")
"""Names of photos that are not read, as of telephones and cameras."""


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture as the package processes it.

    Attributes
    ----------
    pixels : uint8 (3, H, W), RGB, the longer side at most `MAX_SIDE`.
    size : (height, width) of the picture as stored, after its EXIF orientation.
    file : fingerprint of the file that it was read from; None for pixels made in memory.

    """

    pixels: Tensor
    size: tuple[int, int]
    file: Fingerprint | None = None

    @property
    def height(self) -> int:
        """Height of `pixels`."""
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        """Width of `pixels`."""
        return self.pixels.shape[2]

    @classmethod
    def of(cls, pixels: Tensor) -> "Photo":
        """Wrap a uint8 (3, H, W) tensor as it is."""
        if pixels.dtype != torch.uint8 or pixels.ndim != 3 or pixels.shape[0] != 3:
            raise BeyondcamError(
                f"a photo is uint8 (3, H, W), not {str(pixels.dtype)[6:]} {tuple(pixels.shape)}"
            )
        return cls(pixels, (pixels.shape[1], pixels.shape[2]))


def read_photo(path: str | PathLike[str], max_side: int = MAX_SIDE, max_pixels: int = MAX_PIXELS) -> Photo:
    """Read a JPEG, PNG, WebP, BMP, GIF or TIFF of any mode as RGB, turned upright.

    Parameters
    ----------
    path
        A regular file.
    max_side
        A photo with a longer side is averaged down to it.
    max_pixels
        A JPEG of more pixels is decoded at a reduced size; other formats and progressive JPEGs are refused,
        WebP from a third and TIFF and progressive JPEGs from half of it, since they take more memory.

    Returns
    -------
    The picture; transparent pixels are white.

    Raises
    ------
    BeyondcamError
        In one line that names the file, where it is no such picture.

    """
    read = read_pixels(Path(path), max_side, max_pixels)
    return Photo(torch.from_numpy(read.rgb).permute(2, 0, 1).contiguous(), read.size, read.fingerprint)
