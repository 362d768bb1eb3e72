"""Read pictures and masks from disk, whatever their mode, size or orientation."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from beyondcam.errors import BeyondcamError

VOID = 255
"""Value of a mask's pixels that are neither scored nor trained on."""

MAX_SIDE = 1024
"""Photos with a longer side than this are worked on at this size; their seeds come back at full size."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture as the package works on it.

    Attributes
    ----------
    pixels : uint8 (3, H, W), RGB, the longer side at most `MAX_SIDE`.
    size : (height, width) of the picture as stored, after its EXIF orientation.

    """

    pixels: Tensor
    size: tuple[int, int]

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


def read_photo(path: Path | str, max_side: int = MAX_SIDE) -> Photo:
    """Read any picture PIL can: grey, 16-bit, palette, RGBA (over white), CMYK, EXIF-rotated."""
    try:
        with Image.open(path) as opened:
            picture = _rgb(ImageOps.exif_transpose(opened))
    except FileNotFoundError:
        raise BeyondcamError(f"{path}: no such image") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BeyondcamError(f"{path}: not readable as an image ({error})") from None
    width, height = picture.size
    if max(width, height) > max_side:
        ratio = max_side / max(width, height)
        picture = picture.resize(
            (max(1, round(width * ratio)), max(1, round(height * ratio))), Image.Resampling.BOX
        )
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1).contiguous()
    return Photo(pixels, (height, width))


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode.startswith(("I", "F")):  # 16-bit grey: PIL's own conversion clips it to white
        values = np.asarray(picture, np.float64)
        if not np.isfinite(values).all():
            raise ValueError("it holds values that are not finite")
        low, high = values.min(), values.max()
        picture = Image.fromarray(((values - low) / ((high - low) or 1) * 255).round().astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(white, picture)
    return picture.convert("RGB")


def read_mask(path: Path) -> Tensor:
    """Read an index mask as uint8 (H, W), the values as stored (palette or grey)."""
    try:
        with Image.open(path) as opened:
            if opened.mode not in ("P", "L", "1"):
                raise BeyondcamError(
                    f"{path}: a mask holds class indices (mode P or L), this one is {opened.mode}"
                )
            return torch.from_numpy(np.array(opened, np.uint8))
    except FileNotFoundError:
        raise BeyondcamError(f"{path}: no such mask") from None
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise BeyondcamError(f"{path}: not readable as a mask ({error})") from None
