"""Pictures of six formats, opened and decoded in bounded memory.

The format is told by a file's first bytes, whatever its name. Pillow left alone would try some forty, among
them PostScript, which runs programs.
"""

import ctypes
import logging
import re
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import (
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    WebPImagePlugin,
)

from beyondcam.decode.door import Fingerprint, decoding, fingerprint, open_regular
from beyondcam.decode.rgb import TURNS, reduced_rgb
from beyondcam.errors import BeyondcamError

# what decoders say of malformed files names none; to silence them for a while only is not safe in threads
logging.getLogger("PIL").addHandler(logging.NullHandler())
warnings.filterwarnings("ignore", module=r"PIL\.")
with suppress(OSError, AttributeError):  # where Pillow was built in another way
    _libtiff = ctypes.CDLL(Image.core.__file__)  # type: ignore[attr-defined]
    _libtiff.TIFFSetErrorHandler(None)
    _libtiff.TIFFSetWarningHandler(None)

MAX_PIXELS = 178_956_970
"""Pixels of the largest picture that is read where nobody says otherwise, as Pillow has it."""

DARK = 64
"""Upper bytes of 16 bits below which all lie where a camera gave 14 bits or fewer."""

MAX_TILES = 100_000
"""Of a TIFF, which may be cut into pieces of a few pixels each."""

GEOGRAPHIC = (33550, 33922, 34264, 34735)
"""TIFF's tags of a place: scale, tie points, transformation, keys."""

ORIENTATION = 0x0112
"""EXIF's tag."""


class Format(NamedTuple):
    """A format of pictures.

    Attributes
    ----------
    magic : what its files begin with, one of these.
    decoder : Pillow's class.
    share : part of the limit on pixels that applies, since the decoder holds several copies of the picture.

    """

    magic: tuple[bytes, ...]
    decoder: Callable[[BinaryIO], Image.Image]
    share: float = 1.0


FORMATS = {
    "JPEG": Format((b"\xff\xd8\xff",), JpegImagePlugin.JpegImageFile),
    "PNG": Format((b"\x89PNG\r\n\x1a\n",), PngImagePlugin.PngImageFile),
    "BMP": Format((b"BM",), BmpImagePlugin.BmpImageFile),
    "GIF": Format((b"GIF87a", b"GIF89a"), GifImagePlugin.GifImageFile),
    "WebP": Format((b"RIFF",), WebPImagePlugin.WebPImageFile, 1 / 3),
    "TIFF": Format((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), TiffImagePlugin.TiffImageFile, 1 / 2),
}
LOSSLESS = ("PNG", "BMP", "GIF", "TIFF")


class Header(NamedTuple):
    """What a picture's header says.

    Attributes
    ----------
    stored : (height, width) of the pixels as stored.
    orientation : EXIF's, 1 to 8; 1 is upright.

    """

    stored: tuple[int, int]
    orientation: int

    @property
    def upright(self) -> tuple[int, int]:
        """(height, width) of the picture as it is shown."""
        return self.stored[::-1] if self.orientation > 4 else self.stored


class Pixels(NamedTuple):
    """A decoded photo.

    Attributes
    ----------
    rgb : uint8 (H, W, 3), upright, the longer side at most as asked.
    size : (height, width) of the whole picture, upright.
    fingerprint : of its file.

    """

    rgb: NDArray[np.uint8]
    size: tuple[int, int]
    fingerprint: Fingerprint


def read_pixels(path: Path, max_side: int, max_pixels: int = MAX_PIXELS) -> Pixels:
    """A photo in RGB, upright, averaged down to `max_side` where it is larger. Raises `BeyondcamError`.

    Grey pictures of 16 bits and of floats are stretched to 8 bits; of 16 bits a colour the upper 8 are taken,
    and refused where they are all but empty. Transparent pictures lie on white. A JPEG of more than
    `max_pixels` is decoded at a half, a quarter or an eighth of its size; a file of another format is
    refused.
    """
    with decoding(path, "an image"), open_regular(path) as file:
        known = fingerprint(file)
        return Pixels(*_reduced(file, max_side, max_pixels), known)


def pixels_of(picture: Image.Image, max_side: int) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """An opened picture as `read_pixels` has that of a file, and (height, width) of the whole.

    Raises `BeyondcamError`.
    """
    try:
        _load(picture)  # which may turn it upright
        if not all(picture.size):
            raise ValueError("it has no pixels")
        orientation = _orientation(picture)
        size = picture.size if orientation > 4 else picture.size[::-1]
        return reduced_rgb(picture, orientation, size, max_side), size
    except (OSError, SyntaxError, ValueError) as error:  # a picture may not have been decoded yet
        raise BeyondcamError(f"cannot be used ({error})", parameter="image") from None


def read_thumbnail(path: Path, side: int) -> NDArray[np.uint8]:
    """A photo of about `side` pixels on its longer side, in RGB, upright, quickly. Raises `BeyondcamError`.

    uint8 (h, w, 3). A JPEG is decoded at up to an eighth of its size.
    """
    with decoding(path, "an image"), open_regular(path) as file:
        return _reduced(file, side, MAX_PIXELS, draft=(2 * side, 2 * side))[0]


def _reduced(
    file: BinaryIO, max_side: int, max_pixels: int, draft: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    """A photo in RGB, and (height, width) of the whole; of a JPEG as much is decoded as a `draft` needs."""
    picture, form = _opened(file, FORMATS)
    with picture:
        width, height = picture.size
        if draft and isinstance(picture, JpegImagePlugin.JpegImageFile):
            picture.draft(None, draft)
        _limit(picture, int(max_pixels * form.share))
        _load(picture)
        orientation = _orientation(picture)
        size = (width, height) if orientation > 4 else (height, width)
        return reduced_rgb(picture, orientation, size, max_side), size


def read_index_picture(
    path: Path, max_pixels: int, *, coloured: bool = False
) -> tuple[NDArray[np.uint8], list[int] | None]:
    """The values (H, W) of a palette, grey or bilevel picture as stored, and its palette, flat RGB, or None.

    Where it may be `coloured`, those of an RGB picture are the numbers of its colours, of up to 256. Raises
    `BeyondcamError`.
    """
    with decoding(path, "a mask"), open_regular(path) as file:
        picture, form = _opened(file, LOSSLESS)
        with picture:
            if picture.mode not in ("P", "L", "1", *["RGB"] * coloured):
                raise ValueError(
                    f"a mask holds class indices, mode P or L; this one is {picture.mode}: save it indexed"
                )
            _limit(picture, int(max_pixels * form.share))
            if bits := re.search("L;([24])", _stored_as(picture)):  # Pillow spreads them over 8
                raise ValueError(
                    f"it is grey of {bits[1]} bits, whose values programs do not agree on; save it with 8"
                )
            if picture.mode == "RGB":
                return _numbered(np.array(picture))
            values = np.array(picture, np.uint8)
            return values, picture.getpalette("RGB") if picture.mode == "P" else None


def _numbered(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], list[int]]:
    """Pixels (H, W, 3) as numbers (H, W) of their colours, and these, flat. Raises `ValueError`."""
    packed = pixels @ np.array([1 << 16, 1 << 8, 1])  # (H, W)
    colours, numbers = np.unique(packed, return_inverse=True)
    if len(colours) > 256:
        raise ValueError("a mask in RGB has a colour for each class; this one has more than 256")
    palette = np.stack([colours >> 16, colours >> 8 & 255, colours & 255], 1)
    return numbers.reshape(packed.shape).astype(np.uint8), palette.ravel().tolist()


def read_header(path: Path) -> Header:
    """Size and orientation of a picture, without decoding it. Raises `BeyondcamError`."""
    with decoding(path, "an image"), open_regular(path) as file:
        picture, form = _opened(file, FORMATS)
        with picture:
            stored, orientation = (picture.height, picture.width), _orientation(picture)
            if form is FORMATS["TIFF"] and orientation > 4:
                stored = stored[::-1]  # Pillow gives the upright size
            return Header(stored, orientation)


def is_geotiff(path: Path) -> bool:
    """Whether a picture is a TIFF that says where on a map it lies. Raises `BeyondcamError`."""
    with decoding(path, "an image"), open_regular(path) as file:
        picture, _ = _opened(file, FORMATS)
        with picture:
            tags = picture.tag_v2 if isinstance(picture, TiffImagePlugin.TiffImageFile) else ()
            return any(tag in tags for tag in GEOGRAPHIC)


def read_notes(path: Path) -> dict[str, str]:
    """The texts in front of the pixels of a PNG, by their names. Raises `BeyondcamError`."""
    with decoding(path, "a PNG"), open_regular(path) as file, PngImagePlugin.PngImageFile(file) as picture:
        return {str(name): text for name, text in picture.info.items() if isinstance(text, str)}


def open_png(file: BinaryIO, length: int) -> PngImagePlugin.PngImageFile:
    """Open a grey PNG of `length` bytes, of as many pixels as these can hold. Raises what Pillow raises."""
    picture = PngImagePlugin.PngImageFile(file)
    if picture.mode != "L" or picture.width * picture.height > 1032 * length:  # deflate packs no closer
        raise ValueError("its header is not of such a file")
    return picture


def _opened(file: BinaryIO, formats: Iterable[str]) -> tuple[Image.Image, Format]:
    start = file.read(16)
    file.seek(0)
    for name in formats:
        form = FORMATS[name]
        if start.startswith(form.magic) and (name != "WebP" or start[8:12] == b"WEBP"):
            return form.decoder(file), form
    if not start:
        raise ValueError("it is empty")
    known = "HEIC or AVIF; save it as JPEG" if start[4:8] == b"ftyp" else f"none of {', '.join(formats)}"
    raise ValueError(known)


def _limit(picture: Image.Image, most: int) -> None:
    """Refuse a picture of more than so many pixels, or have it decoded at a reduced size where it can be."""
    width, height = picture.size
    if "progressive" in picture.info:
        most //= 2  # of a progressive JPEG all coefficients are kept, at full size
    elif isinstance(picture, JpegImagePlugin.JpegImageFile) and width * height > most:
        by = next((n for n in (2, 4, 8) if width * height <= most * n * n), 8)
        picture.draft(None, (width // by, height // by))
    if picture.width * picture.height > most:
        raise ValueError(
            f"it has {width * height / 1e6:.0f} megapixels, more than the {most / 1e6:.0f} that are read of "
            "this format; raise the limit (max_pixels), or reduce it"
        )
    tiles = getattr(picture, "tile", ())
    if len(tiles) > MAX_TILES:
        raise ValueError(f"it is cut into more than {MAX_TILES} tiles")
    if isinstance(picture, TiffImagePlugin.TiffImageFile):  # what no strip covers would be black
        covered = sum((right - left) * (lower - upper) for _, (left, upper, right, lower), *_ in tiles)
        if covered < width * height:
            raise ValueError("its strips are fewer than its size says")


def _load(picture: Image.Image) -> None:
    """Decode a picture. Raises `ValueError` where its colours are lost with the lower of their 16 bits."""
    halved = ";16" in _stored_as(picture) and picture.mode in ("RGB", "RGBA")  # of grey Pillow keeps all
    picture.load()
    if halved:
        counts = np.reshape(picture.histogram(), (-1, 256))[:3]  # of each value of each colour
        if not counts[:, DARK:].any():
            raise ValueError("it has 16 bits a colour, of which the upper are all but empty; save it with 8")


def _stored_as(picture: Image.Image) -> str:
    """How the values of a picture that is not decoded yet are stored, in Pillow's words; else nothing."""
    return str(next((arguments for *_, arguments in getattr(picture, "tile", ())), ""))


def _orientation(picture: Image.Image) -> int:
    """EXIF's orientation, 1 to 8; 1 where there is none, or none that can be read."""
    try:
        value: Any = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # Pillow raises what it likes on a malformed EXIF block
        return 1
    return value if isinstance(value, int) and value in TURNS else 1
