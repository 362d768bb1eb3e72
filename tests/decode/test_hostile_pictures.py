"""Pictures that are odd, malformed, huge or no pictures: read right, or refused in one line."""

import io
import os
import struct
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from builders import pixels_of
from PIL import Image

from beyondcam.data import PALETTE, read_photo
from beyondcam.data.mask_file import read_mask
from beyondcam.decode import read_header, read_pixels, rgb
from beyondcam.errors import BeyondcamError
from conftest import complaint

PIXELS = np.random.default_rng(0).integers(60, 200, (20, 24, 3)).astype(np.uint8)


def tiff(bands: np.ndarray, *extra: tuple[int, int, int]) -> bytes:
    """An uncompressed TIFF of bands (H, W, C); `extra` are further (tag, type, value), or other ones."""
    height, width, channels = bands.shape
    depth = bands.itemsize * 8
    kinds = {"u": 1, "i": 2, "f": 3}
    entries = [
        (256, 4, width), (257, 4, height), (259, 3, 1), (262, 3, 2 if channels > 2 else 1),
        (277, 3, channels),
        (278, 4, height), (279, 4, bands.nbytes), (339, 3, kinds[bands.dtype.kind]),
        *extra,
    ]  # fmt: skip
    count = len({tag for tag, *_ in entries}) + 2
    at = 8 + 2 + 12 * count + 4
    depths = struct.pack(f"<{channels}H", *[depth] * channels)
    inline = depths.ljust(4, b"\0") if channels < 3 else struct.pack("<I", at)
    body = {258: struct.pack("<HHI", 258, 3, channels) + inline}
    body[273] = struct.pack("<HHII", 273, 4, 1, at + len(depths))
    body |= {tag: struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries}
    directory = b"".join(body[tag] for tag in sorted(body))
    return b"II*\0\x08\0\0\0" + struct.pack("<H", count) + directory + b"\0\0\0\0" + depths + bands.tobytes()


# What is no picture


@pytest.mark.parametrize("kind", ["EPS", "PPM", "TGA", "PCX", "SGI", "ICO", "DDS", "PDF"])
@pytest.mark.parametrize("name", ["photo.jpg", "photo.png"])
def test_only_six_formats_are_opened_whatever_the_name(tmp_path: Path, kind: str, name: str) -> None:
    """PostScript among the others is a program."""
    Image.new("RGB", (16, 16)).save(tmp_path / name, kind)
    complaint(lambda: read_photo(tmp_path / name), name, "none of JPEG, PNG, BMP, GIF, WebP, TIFF")
    complaint(lambda: read_mask(tmp_path / name), name, "none of PNG, BMP, GIF, TIFF")


def test_no_program_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a program was started"))
    (tmp_path / "a.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{} loop\n"
    )
    complaint(lambda: read_photo(tmp_path / "a.jpg"), "a.jpg")


def test_pipe_that_is_named_as_a_photo_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    started = time.monotonic()
    for read in (read_photo, read_mask, read_header):
        complaint(lambda read=read: read(tmp_path / "a.png"), "a.png", "not a regular file")
    assert time.monotonic() - started < 1


# Malformed metadata


def exif(*entries: tuple[int, int, int, bytes]) -> bytes:
    """A block of one directory of (tag, type, count, data) in little-endian order."""
    body, extra = b"", b""
    at = 8 + 2 + 12 * len(entries) + 4
    for tag, kind, count, data in sorted(entries):
        value = data.ljust(4, b"\0") if len(data) <= 4 else struct.pack("<I", at + len(extra))
        extra += data if len(data) > 4 else b""
        body += struct.pack("<HHI", tag, kind, count) + value
    return b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + b"\0\0\0\0" + extra


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's own
@pytest.mark.parametrize("turned", [True, False])
@pytest.mark.parametrize(
    "bad",
    [
        (0x011A, 2, 4, b"72/1"),  # the resolution as text
        (0x010F, 3, 1, struct.pack("<H", 7)),  # the maker as a number
        (0x8769, 2, 3, b"abc"),  # a pointer as text
        (0x8769, 4, 1, struct.pack("<I", 2**31)),  # and far out of the file
        (0x011A, 10, 1, struct.pack("<ii", -1, 0)),  # a rational of zero
        (0x9286, 5, 1, struct.pack("<II", 1, 0)),  # a comment as a rational
        (0x0132, 12, 3, b"\xff" * 24),  # a date as three numbers that are none
        (0x013E, 99, 7, b"\0\0\0\0"),  # a type that there is not
    ],
    ids=range(8),
)
def test_photo_with_a_malformed_tag_is_upright_all_the_same(tmp_path: Path, bad, turned: bool) -> None:
    entries = [bad, *([(0x0112, 3, 1, struct.pack("<H", 6))] if turned else [])]
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", exif=exif(*entries), quality=95)
    photo = read_photo(tmp_path / "a.jpg")
    assert photo.size == ((24, 20) if turned else (20, 24))
    assert read_header(tmp_path / "a.jpg").upright == photo.size


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("value", [0, 9, 65535])
def test_orientation_that_is_none_is_upright(tmp_path: Path, value: int) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "a.png", exif=exif((0x0112, 3, 1, struct.pack("<H", value))))
    assert pixels_of(tmp_path / "a.png") == PIXELS.tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "TIFF", "TIFF-packed", "WEBP"])
def test_every_format_is_turned_upright_once(tmp_path: Path, kind: str, orientation: int) -> None:
    """Pillow turns TIFFs itself, and mangles uncompressed ones when it is given a path."""
    block = Image.Exif()
    block[0x0112] = orientation
    options = {"TIFF-packed": {"compression": "packbits"}, "WEBP": {"lossless": True}}.get(kind, {})
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    Image.fromarray(stored).convert("RGB").save(tmp_path / "a", kind.partition("-")[0], exif=block, **options)
    upright = {
        1: stored, 2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 5: stored.T, 6: stored[::-1].T,
        7: stored[::-1, ::-1].T, 8: stored[:, ::-1].T,
    }[orientation]  # fmt: skip
    assert read_photo(tmp_path / "a").pixels[1].tolist() == upright.tolist()
    header = read_header(tmp_path / "a")
    assert (header.stored, header.upright) == ((2, 3), upright.shape)
    assert header.orientation == orientation


# TIFF


def test_fourth_channel_of_a_tiff_is_transparency_only_where_it_says_so(tmp_path: Path) -> None:
    infrared = np.dstack([PIXELS, np.full((20, 24), 30, np.uint8)])
    for name, extra in (("none", ()), ("unspecified", ((338, 3, 0),))):
        (tmp_path / name).write_bytes(tiff(infrared, *extra))
        assert pixels_of(tmp_path / name) == PIXELS.tolist()
    clear = np.dstack([PIXELS, np.zeros((20, 24), np.uint8)])
    (tmp_path / "alpha").write_bytes(tiff(clear, (338, 3, 2)))
    assert pixels_of(tmp_path / "alpha") == np.full_like(PIXELS, 255).tolist()
    Image.fromarray(clear).save(tmp_path / "own.tif")  # as Pillow itself writes it
    assert pixels_of(tmp_path / "own.tif") == np.full_like(PIXELS, 255).tolist()


@pytest.mark.parametrize("dtype", [np.float32, np.uint16])
def test_one_value_of_no_data_does_not_white_out_the_picture(tmp_path: Path, dtype: type) -> None:
    values = np.linspace(100, 200, 480).reshape(20, 24).round().astype(dtype)
    (tmp_path / "plain").write_bytes(tiff(values[..., None]))
    plain = read_photo(tmp_path / "plain").pixels[0].numpy().astype(int)
    for nothing, shown in ((-9999, 0), (-3.4e38, 0), (65535, 255), (1e30, 255)):
        if dtype == np.uint16 and nothing != 65535:
            continue
        marked = values.copy()
        marked[0, :5], marked[9, 9] = nothing, nothing
        (tmp_path / "marked").write_bytes(tiff(marked[..., None]))
        found = read_photo(tmp_path / "marked").pixels[0].numpy().astype(int)
        elsewhere = marked == values
        assert np.abs(found - plain)[elsewhere].max() <= 4  # the darkest five are covered
        assert (found[~elsewhere] == shown).all()


def test_two_values_and_wide_ranges_are_data(tmp_path: Path) -> None:
    for values in ([[0, 60000]], [[0, 1, 9]], [[0, 5000, 60000]], [[7, 7]]):
        stored = np.array(values, np.uint16)
        Image.fromarray(stored).save(tmp_path / "a.png")
        span = (stored.max() - stored.min()) or 1
        expected = ((stored - stored.min()) / span * 255).round()
        assert read_photo(tmp_path / "a.png").pixels[0].tolist() == expected.tolist()


def test_values_that_are_not_finite_are_one_line(tmp_path: Path) -> None:
    for value in (np.nan, np.inf):
        (tmp_path / "a.tif").write_bytes(tiff(np.full((4, 4, 1), value, np.float32)))
        complaint(lambda: read_photo(tmp_path / "a.tif"), "a.tif", "not finite")


# Size


def test_photo_above_the_limit_says_so_and_a_jpeg_is_read_at_a_reduced_size(tmp_path: Path) -> None:
    rows, columns = np.mgrid[:300, :400]
    smooth = np.dstack([rows * 0.6, columns * 0.6, rows * 0 + 90]).astype(np.uint8)
    for name in ("a.png", "a.bmp", "a.gif", "a.tif", "a.webp", "progressive.jpg"):
        Image.fromarray(smooth).save(tmp_path / name, progressive=True)
        complaint(lambda name=name: read_photo(tmp_path / name, max_pixels=30_000), name, "max_pixels")
        assert read_photo(tmp_path / name, max_pixels=400_000).size == (300, 400)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=98)
    whole = read_photo(tmp_path / "a.jpg", max_side=50)
    for limit in (119_999, 30_000, 2_000):
        reduced = read_photo(tmp_path / "a.jpg", max_side=50, max_pixels=limit)
        assert reduced.size == whole.size == (300, 400)
        assert reduced.pixels.shape == whole.pixels.shape
        assert (reduced.pixels.int() - whole.pixels.int()).abs().max() <= 4
    complaint(lambda: read_photo(tmp_path / "a.jpg", max_pixels=1_000), "a.jpg", "max_pixels")


@pytest.mark.parametrize("shape", [(90, 310), (310, 90)])
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "I;16"])
def test_large_photo_is_converted_in_bands_that_do_not_show(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, shape: tuple[int, int]
) -> None:
    rng = np.random.default_rng(1)
    for orientation in (1, 3, 6, 7):
        block = Image.Exif()
        block[0x0112] = orientation
        stored = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
        deep = rng.integers(0, 60000, shape).astype(np.uint16)
        picture = Image.fromarray(deep) if mode == "I;16" else Image.fromarray(stored).convert(mode)
        picture.save(tmp_path / "a.png", exif=block)
        whole = read_pixels(tmp_path / "a.png", 97).rgb.astype(int)
        with monkeypatch.context() as patch:
            patch.setattr(rgb, "BAND", 3000)
            banded = read_pixels(tmp_path / "a.png", 97).rgb.astype(
                int
            )  # of an odd number no average is cut in half
        assert banded.shape == whole.shape
        assert np.abs(banded - whole).max() <= 1


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF", "TIFF", "WEBP", "JPEG"])
def test_header_that_claims_a_giant_picture_takes_neither_memory_nor_time(tmp_path: Path, kind: str) -> None:
    """Any bytes of it that may come to mean a size or a length. Pillow's own memory is not counted here."""
    buffer = io.BytesIO()
    Image.fromarray(PIXELS).save(buffer, kind)
    content = buffer.getvalue()
    started = time.monotonic()
    tracemalloc.start()
    try:
        for place in range(min(len(content) - 4, 120)):
            for value in (b"\xff\xff", b"\x7f\xff\xff\xff"):
                (tmp_path / "a").write_bytes(content[:place] + value + content[place + len(value) :])
                with suppress(BeyondcamError):
                    read_photo(tmp_path / "a")
        assert tracemalloc.get_traced_memory()[1] < 2**25
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 60


# Masks


def test_tiff_whose_strips_end_before_the_picture_is_not_taken_for_black(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(PIXELS))
    assert pixels_of(tmp_path / "a.tif") == PIXELS.tolist()
    (tmp_path / "a.tif").write_bytes(tiff(PIXELS, (257, 4, 2 * len(PIXELS))))
    complaint(lambda: read_photo(tmp_path / "a.tif"), "a.tif", "strips are fewer")


def test_colours_count_where_a_program_dropped_the_unused_ones(tmp_path: Path) -> None:
    values = np.array([[0, 3, 3], [15, 255, 0]], np.uint8)
    whole = Image.fromarray(values)
    whole.putpalette(PALETTE)
    whole.save(tmp_path / "whole.png")
    used = [15, 0, 255, 3]  # in the order in which it met them
    squeezed = Image.fromarray(np.array([[1, 3, 3], [0, 2, 1]], np.uint8))
    squeezed.putpalette([part for v in used for part in PALETTE[3 * v : 3 * v + 3]])
    squeezed.save(tmp_path / "squeezed.png")
    for name in ("whole.png", "squeezed.png"):
        assert read_mask(tmp_path / name).tolist() == values.tolist()
    other = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    other.putpalette([0, 0, 0, 128, 0, 0, 1, 2, 3])  # not of VOC's colours alone
    other.save(tmp_path / "other.png")
    assert read_mask(tmp_path / "other.png").tolist() == [[0, 1, 2]]
    alone = Image.fromarray(np.array([[0, 1]], np.uint8))
    alone.putpalette(PALETTE[:3] + PALETTE[6:9])  # as is left of a mask that shows class 2 alone
    alone.save(tmp_path / "alone.png")
    assert read_mask(tmp_path / "alone.png").tolist() == [[0, 2]]


def test_a_palette_that_is_filled_up_with_black_is_as_it_is_without(tmp_path: Path) -> None:
    values = np.array([[3, 3, 255]], np.uint8)  # no background, so that black could stand for 255
    full = Image.fromarray(values)
    full.putpalette(PALETTE[:63] + [0] * 705)
    full.save(tmp_path / "full.png")
    assert read_mask(tmp_path / "full.png").tolist() == values.tolist()
    turned = Image.fromarray(np.array([[0, 0, 1]], np.uint8))
    turned.putpalette(PALETTE[9:12] + [0] * 759)  # black is the background here
    turned.save(tmp_path / "turned.png")
    assert read_mask(tmp_path / "turned.png").tolist() == [[3, 3, 0]]


def test_mask_that_was_stored_with_loss_is_refused(tmp_path: Path) -> None:
    Image.new("L", (9, 9), 3).save(tmp_path / "a.png", "JPEG")
    complaint(lambda: read_mask(tmp_path / "a.png"), "a.png")
