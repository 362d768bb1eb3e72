"""Photos and masks of every mode, checked against pixels worked out by hand."""

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import mode_of, pixels_of, refusal
from PIL import Image

from beyondcam.data import MAX_SIDE, Photo, read_photo
from beyondcam.data.mask_file import read_mask
from beyondcam.decode import read_thumbnail
from beyondcam.library import as_photo
from conftest import complaint


def test_photo_of_grey_repeats_the_value_in_each_channel(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 7], [128, 255]], np.uint8)).save(tmp_path / "a.png")
    assert pixels_of(tmp_path / "a.png") == [[[0] * 3, [7] * 3], [[128] * 3, [255] * 3]]


def test_photo_of_16_bit_grey_is_stretched_to_8_bits_rather_than_clipped(tmp_path: Path) -> None:
    stored = np.array([[0, 257 * 51], [257 * 200, 65535]], np.uint16)
    Image.fromarray(stored).save(tmp_path / "a.png")
    assert pixels_of(tmp_path / "a.png") == [[[0] * 3, [51] * 3], [[200] * 3, [255] * 3]]


def png(stored: np.ndarray, bits: int) -> bytes:
    """A grey, RGB or RGBA PNG of a depth that Pillow does not write, of (H, W, channels)."""
    height, width, channels = stored.shape
    places = stored.reshape(height, -1, 1) >> np.arange(bits)[::-1] & 1
    lines = b"".join(b"\0" + np.packbits(line).tobytes() for line in places.reshape(height, -1))
    kind = {1: 0, 3: 2, 4: 6}[channels]
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    )


@pytest.mark.parametrize("channels", [3, 4])
def test_photo_of_16_bit_colours_has_their_upper_bits_or_is_refused(tmp_path: Path, channels: int) -> None:
    """As a camera of 12 or 14 bits stores it, it would be black."""
    stored = np.full((2, 3, channels), 2**16 - 1)
    stored[..., :3] = np.arange(18).reshape(2, 3, 3) * 1000
    (tmp_path / "a.png").write_bytes(png(stored, 16))
    assert pixels_of(tmp_path / "a.png") == (stored[..., :3] // 256).tolist()
    for camera in (8, 12, 14):
        stored[..., :3] = np.arange(18).reshape(2, 3, 3) % 2**camera
        stored[0, 0, 0] = 2**camera - 1
        (tmp_path / "a.png").write_bytes(png(stored, 16))
        complaint(lambda: read_photo(tmp_path / "a.png"), "a.png", "16 bits", "save it with 8")
        with Image.open(tmp_path / "a.png") as picture:
            complaint(lambda picture=picture: as_photo(picture), "image: ", "16 bits")


def test_photo_of_floats_spans_all_brightnesses_whatever_their_range(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 0.1], [0.25, 0.5]], np.float32)).save(tmp_path / "a.tif")
    first = read_photo(tmp_path / "a.tif").pixels[0].tolist()
    assert np.allclose(first, [[0, 51], [127.5, 255]], atol=1)


def test_photo_of_palette_with_a_transparent_entry_is_white_there(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    picture.putpalette([255, 0, 0, 0, 0, 255, 9, 8, 7])
    picture.save(tmp_path / "a.png", transparency=1)
    assert mode_of(tmp_path / "a.png") == "P"
    assert pixels_of(tmp_path / "a.png") == [[[255, 0, 0], [255, 255, 255], [9, 8, 7]]]


def test_photo_of_palette_with_partial_transparency_is_mixed_with_white(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1]], np.uint8))
    picture.putpalette([255, 0, 0, 0, 0, 255])
    picture.save(tmp_path / "a.png", transparency=bytes([51, 255]))
    assert mode_of(tmp_path / "a.png") == "P"
    red = 255 * (1 - 51 / 255)
    assert np.allclose(pixels_of(tmp_path / "a.png"), [[[255, red, red], [0, 0, 255]]], atol=1)


def test_photo_with_alpha_lies_on_white(tmp_path: Path) -> None:
    stored = np.array([[[0, 0, 0, 0], [10, 20, 30, 255], [0, 100, 200, 102]]], np.uint8)
    Image.fromarray(stored).save(tmp_path / "a.png")
    mixed = [255 * 0.6 + value * 0.4 for value in (0, 100, 200)]
    found = pixels_of(tmp_path / "a.png")
    assert found[0][:2] == [[255, 255, 255], [10, 20, 30]]
    assert np.allclose(found[0][2], mixed, atol=1)


def test_photo_of_grey_with_alpha_lies_on_white(tmp_path: Path) -> None:
    Image.fromarray(np.array([[[40, 255], [40, 0]]], np.uint8)).save(tmp_path / "a.png")
    assert mode_of(tmp_path / "a.png") == "LA"
    assert pixels_of(tmp_path / "a.png") == [[[40] * 3, [255] * 3]]


def test_photo_of_cmyk_has_the_printed_colours(tmp_path: Path) -> None:
    stored = np.array([[[0, 0, 0, 0], [255, 0, 0, 0], [0, 255, 255, 0], [0, 0, 0, 255]]], np.uint8)
    Image.fromarray(stored, "CMYK").save(tmp_path / "a.tif")
    assert pixels_of(tmp_path / "a.tif") == [[[255, 255, 255], [0, 255, 255], [255, 0, 0], [0, 0, 0]]]


@pytest.mark.parametrize(
    ("orientation", "upright"),
    [
        (1, [[1, 2, 3], [4, 5, 6]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
    ],
)
def test_photo_is_turned_upright_by_its_exif_orientation(
    tmp_path: Path, orientation: int, upright: list[list[int]]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.array([[1, 2, 3], [4, 5, 6]], np.uint8)).save(tmp_path / "a.png", exif=exif)
    photo = read_photo(tmp_path / "a.png")
    assert photo.pixels[1].tolist() == upright
    assert photo.size == (len(upright), len(upright[0])) == (photo.height, photo.width)


def test_photo_larger_than_the_limit_is_averaged_down_and_remembers_its_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    stored = rng.integers(0, 256, (300, 2 * MAX_SIDE, 3), dtype=np.uint8)
    Image.fromarray(stored).save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert photo.size == (300, 2 * MAX_SIDE)
    assert photo.pixels.shape == (3, 150, MAX_SIDE)
    means = stored.reshape(150, 2, MAX_SIDE, 2, 3).mean((1, 3))
    assert np.abs(photo.pixels.permute(1, 2, 0).numpy() - means).max() <= 1


def test_thumbnail_of_a_turned_photo_is_small_and_upright(tmp_path: Path) -> None:
    """A JPEG of 1,600 × 400 pixels, dark on top, to be turned by a quarter to the right."""
    pixels = np.zeros((400, 1600, 3), np.uint8)
    pixels[200:] = 200
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=turned)
    small = read_thumbnail(tmp_path / "a.jpg", 32)
    assert small.shape == (32, 8, 3)
    assert small[:, :3].mean() > 195
    assert small[:, 5:].mean() < 5
    Image.fromarray(pixels[:20, :10]).save(tmp_path / "b.png")
    assert read_thumbnail(tmp_path / "b.png", 32).shape == (20, 10, 3)
    Image.fromarray(pixels[190:210, :30]).save(tmp_path / "d.tif", exif=turned)  # which Pillow turns itself
    assert (read_thumbnail(tmp_path / "d.tif", 32) == np.rot90(pixels[190:210, :30], -1)).all()
    (tmp_path / "c.jpg").write_bytes(b"no photo")
    complaint(lambda: read_thumbnail(tmp_path / "c.jpg", 32), "c.jpg", "an image")


def test_photo_at_the_limit_stays_as_it_is(tmp_path: Path) -> None:
    stored = np.arange(3 * 8, dtype=np.uint8).reshape(1, 8, 3)
    Image.fromarray(stored).save(tmp_path / "a.png")
    assert (
        read_photo(tmp_path / "a.png", max_side=8).pixels.permute(1, 2, 0).numpy().tolist() == stored.tolist()
    )
    assert read_photo(tmp_path / "a.png", max_side=7).pixels.shape == (3, 1, 7)


def test_photo_that_is_very_long_keeps_a_pixel_of_height(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 1), "red").save(tmp_path / "a.png")
    photo = read_photo(tmp_path / "a.png")
    assert (photo.size, photo.height, photo.width) == ((1, 3000), 1, MAX_SIDE)


def test_truncated_jpeg_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "broken.jpg")
    whole = (tmp_path / "broken.jpg").read_bytes()
    (tmp_path / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    complaint(lambda: read_photo(tmp_path / "broken.jpg"), str(tmp_path / "broken.jpg"))


def test_missing_and_foreign_files_are_one_line_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "folder.jpg").mkdir()
    for name in ("missing.jpg", "text.jpg", "folder.jpg"):
        complaint(lambda name=name: read_photo(tmp_path / name), name)
        complaint(lambda name=name: read_mask(tmp_path / name), name)


@pytest.mark.filterwarnings("ignore::UserWarning")  # PIL's own, about the broken header
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_any_truncation_is_a_photo_or_one_line_that_names_the_file(tmp_path: Path, kind: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    noise = np.random.default_rng(0).integers(0, 256, (12, 17, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, kind, **({} if kind in ("GIF", "BMP") else {"exif": exif}))
    whole = buffer.getvalue()
    path = tmp_path / "cut"
    complaints = []
    for length in range(0, len(whole), 23):
        path.write_bytes(whole[:length])
        complaints += [refusal(lambda read=read: read(path)) for read in (read_photo, read_mask)]
    refused = [message for message in complaints if message is not None]
    assert len(refused) > len(complaints) / 2
    assert all(str(path) in message and "\n" not in message for message in refused)


@pytest.mark.parametrize("read", [read_photo, read_mask])
def test_header_that_claims_a_giant_picture_is_one_line_that_names_the_file(tmp_path: Path, read) -> None:
    buffer = io.BytesIO()
    Image.new("P", (4, 4)).save(buffer, "BMP")
    header = bytearray(buffer.getvalue())
    header[18:26] = (60000).to_bytes(4, "little") * 2
    (tmp_path / "giant.bmp").write_bytes(bytes(header))
    complaint(lambda: read(tmp_path / "giant.bmp"), "giant.bmp")


def test_mask_keeps_the_values_as_stored_in_palette_grey_and_bilevel(tmp_path: Path) -> None:
    values = np.array([[0, 1, 255], [20, 3, 0]], np.uint8)
    grey = Image.fromarray(values)
    grey.save(tmp_path / "grey.png")
    palette = Image.fromarray(values)
    palette.putpalette([(7 * n) % 256 for n in range(768)])
    palette.save(tmp_path / "palette.png")
    Image.fromarray(values > 1).save(tmp_path / "bilevel.png")
    assert read_mask(tmp_path / "grey.png").tolist() == values.tolist()
    assert read_mask(tmp_path / "palette.png").tolist() == values.tolist()
    assert read_mask(tmp_path / "bilevel.png").tolist() == [[0, 0, 1], [1, 1, 0]]


@pytest.mark.parametrize("bits", [2, 4])
def test_mask_of_grey_that_programs_spread_over_8_bits_is_refused(tmp_path: Path, bits: int) -> None:
    """The values 0 and 1 of 4 bits are 0 and 17 to Pillow, and so are those of a mask of 17 made smaller."""
    (tmp_path / "a.png").write_bytes(png(np.array([[[0], [1], [2], [3]]]), bits))
    complaint(lambda: read_mask(tmp_path / "a.png"), "a.png", f"grey of {bits} bits", "save it with 8")
    assert pixels_of(tmp_path / "a.png")[0][1] == [255 // (2**bits - 1)] * 3


def test_mask_in_colours_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    complaint(lambda: read_mask(tmp_path / "a.png"), "a.png", "RGB")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"\0\0\0\x18ftypheic\0\0", "HEIC or AVIF; save it as JPEG"),
        (b"<html>", "none of JPEG"),
    ],
)
def test_what_is_no_photo_is_named_for_what_it_is(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    complaint(lambda: read_photo(tmp_path / "a.jpg"), "a.jpg: not readable as an image", said)


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4), (4, 4, 3)])
def test_tensor_that_is_no_photo_is_refused(shape: tuple[int, ...]) -> None:
    complaint(lambda: Photo.of(torch.zeros(shape, dtype=torch.uint8)), str(shape))


def test_float_tensor_is_no_photo() -> None:
    complaint(lambda: Photo.of(torch.zeros(3, 2, 2)), "float32")
