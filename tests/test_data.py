"""Data: photos of every mode, labels and masks of every source, checked against pixels worked out by hand."""

import dataclasses
import functools
import hashlib
import io
import itertools
import json
import os
import shutil
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from pycocotools.coco import COCO
from scipy import ndimage

from beyondcam.data import (
    MAX_SIDE,
    VOID,
    Photo,
    coco,
    digits,
    open_images,
    open_masks,
    read_mask,
    read_photo,
    voc,
)
from beyondcam.data.source import choose_classes
from beyondcam.data.source import hash_split as own_split
from beyondcam.errors import BeyondcamError
from conftest import complaint

DATA = Path(os.environ.get("BEYONDCAM_DATA", "/nowhere"))


def pixels_of(path: Path) -> list[list[list[int]]]:
    """A photo's pixels as rows of (R, G, B)."""
    return read_photo(path).pixels.permute(1, 2, 0).tolist()


def refusal(call) -> str | None:
    """The message of the `BeyondcamError` that `call` raises, None where it raises nothing."""
    try:
        call()
    except BeyondcamError as error:
        return str(error)
    return None


def mode_of(path: Path) -> str:
    """The mode a picture is stored in, lest a test test another one than it says."""
    with Image.open(path) as picture:
        return picture.mode


# Photos


def test_photo_of_grey_repeats_the_value_in_each_channel(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 7], [128, 255]], np.uint8)).save(tmp_path / "a.png")
    assert pixels_of(tmp_path / "a.png") == [[[0] * 3, [7] * 3], [[128] * 3, [255] * 3]]


def test_photo_of_16_bit_grey_is_stretched_to_8_bits_rather_than_clipped(tmp_path: Path) -> None:
    stored = np.array([[0, 257 * 51], [257 * 200, 65535]], np.uint16)
    Image.fromarray(stored).save(tmp_path / "a.png")
    assert pixels_of(tmp_path / "a.png") == [[[0] * 3, [51] * 3], [[200] * 3, [255] * 3]]


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


def test_mask_in_colours_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "a.png")
    complaint(lambda: read_mask(tmp_path / "a.png"), "a.png", "RGB")


@pytest.mark.parametrize("shape", [(1, 4, 4), (3, 4), (4, 4, 3)])
def test_tensor_that_is_no_photo_is_refused(shape: tuple[int, ...]) -> None:
    complaint(lambda: Photo.of(torch.zeros(shape, dtype=torch.uint8)), str(shape))


def test_float_tensor_is_no_photo() -> None:
    complaint(lambda: Photo.of(torch.zeros(3, 2, 2)), "float32")


@pytest.mark.parametrize("data", ["", "nonsense", "voc", "voc:", "folder:", "zip:/x"])
def test_unknown_data_is_one_line_that_says_what_there_is(data: str) -> None:
    complaint(lambda: open_images(data, "train"), "voc:PATH", "folder:PATH", "digits")


# Classes and splits


@pytest.mark.parametrize("number", [255, 300])
def test_more_classes_than_a_mask_can_number_are_refused(number: int) -> None:
    """Labels are uint8 and 255 is void, so 254 classes is the most."""
    assert len(choose_classes(None, [f"c{n}" for n in range(254)])) == 254
    complaint(lambda: choose_classes(None, [f"c{n}" for n in range(number)]), "254")


def test_own_split_parts_the_ids_into_train_and_val() -> None:
    ids = [f"image-{n}" for n in range(2000)]
    train, val = own_split(ids, "train", "x"), own_split(ids, "val", "x")
    assert not set(train) & set(val)
    assert sorted((*train, *val)) == sorted(ids)
    assert own_split(ids, "all", "x") == tuple(ids)
    assert 0.17 < len(val) / len(ids) < 0.23  # 3.4 standard deviations of a fifth


def test_own_split_of_an_image_does_not_depend_on_the_others() -> None:
    ids = [f"image-{n}" for n in range(100)]
    few = own_split(ids[::7], "val", "x")
    assert few == tuple(i for i in ids[::7] if i in own_split(ids, "val", "x"))
    assert few  # else nothing was shown


# VOC


def make_voc(root: Path, *, xml: bool = True, masks: bool = True) -> Path:
    """Two images: `a` with a cat and a dog, `b` with nothing but background."""
    for folder in ("JPEGImages", "Annotations", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    (root / "ImageSets/Segmentation/train.txt").write_text("a\nb\n")
    mask = np.zeros((4, 6), np.uint8)
    mask[0], mask[1], mask[2] = 8, 12, 255  # cat, dog, void
    for name, values in (("a", mask), ("b", np.zeros((4, 6), np.uint8))):
        Image.new("RGB", (6, 4), "green").save(root / f"JPEGImages/{name}.jpg")
        if masks:
            Image.fromarray(values).save(root / f"SegmentationClass/{name}.png")
    if xml:
        objects = "".join(f"<object><name>{name}</name></object>" for name in ("dog", "cat", "dog"))
        part = "<object><name>dog</name><part><name>head</name></part></object>"
        (root / "Annotations/a.xml").write_text(f"<annotation>{objects}{part}</annotation>")
        (root / "Annotations/b.xml").write_text("<annotation></annotation>")
    if not masks:
        (root / "SegmentationClass").rmdir()
    return root


def present(images, image_id: str) -> set[str]:
    return {images.classes[c] for c in images.labels[image_id]}


def test_voc_labels_come_from_the_xml_even_where_the_mask_says_otherwise(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "Annotations/b.xml").write_text(
        "<annotation><object><name>sheep</name></object></annotation>"
    )
    images = open_images(f"voc:{tmp_path}", "train")
    assert images.ids == ("a", "b")
    assert present(images, "a") == {"cat", "dog"}
    assert present(images, "b") == {"sheep"}
    assert images.classes == tuple(sorted(images.classes))
    assert len(images.classes) == 20


def test_voc_labels_come_from_the_mask_where_there_is_no_xml(tmp_path: Path) -> None:
    images = open_images(f"voc:{make_voc(tmp_path, xml=False)}", "train")
    assert present(images, "a") == {"cat", "dog"}
    assert images.labels["b"] == frozenset()
    assert not images.unlabelled


def test_voc_masks_number_the_classes_kept_and_void_the_others(tmp_path: Path) -> None:
    make_voc(tmp_path)
    kept = open_masks(f"voc:{tmp_path}", "train", ["sheep", "dog"])
    assert kept.read("a")[:, 0].tolist() == [255, 2, 255, 0]
    assert open_images(f"voc:{tmp_path}", "train", ["sheep", "dog"]).labels["a"] == {1}
    assert open_masks(f"voc:{tmp_path}", "train").read("a")[:, 0].tolist() == [8, 12, 255, 0]


def test_voc_with_a_missing_split_is_one_line_that_says_which_there_are(tmp_path: Path) -> None:
    make_voc(tmp_path)
    for opener in (open_images, open_masks):
        complaint(lambda opener=opener: opener(f"voc:{tmp_path}", "val"), "val.txt", "train")
        complaint(lambda opener=opener: opener(f"voc:{tmp_path / 'nowhere'}", "val"), "nowhere", "none")


def test_voc_with_an_empty_split_is_one_line_that_names_it(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("\n  \n")
    complaint(lambda: open_images(f"voc:{tmp_path}", "val"), "val.txt", "empty")


def test_voc_with_an_image_twice_in_a_split_is_one_line_that_names_it(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("a\nb\na\n")
    complaint(lambda: open_images(f"voc:{tmp_path}", "val"), "val.txt", "a stands here twice")


def test_voc_with_a_split_that_is_no_text_is_one_line_that_names_it(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "ImageSets/Segmentation/val.txt").write_bytes(b"\xff\xfe\x00a")
    complaint(lambda: open_images(f"voc:{tmp_path}", "val"), "val.txt")


def test_voc_id_without_files_is_unlabelled_and_not_readable_and_says_why(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "ImageSets/Segmentation/train.txt").write_text("a\nghost\n")
    images = open_images(f"voc:{tmp_path}", "train")
    assert "ghost" not in images.labels
    assert "ghost.png" in images.unlabelled["ghost"]
    assert "\n" not in images.unlabelled["ghost"]
    complaint(lambda: images.read("ghost"), "ghost.jpg")
    complaint(lambda: open_masks(f"voc:{tmp_path}", "train").read("ghost"), "ghost.png")


def test_voc_mask_with_a_value_of_no_class_is_one_line_that_names_file_and_value(tmp_path: Path) -> None:
    make_voc(tmp_path)
    Image.fromarray(np.full((4, 6), 21, np.uint8)).save(tmp_path / "SegmentationClass/a.png")
    complaint(lambda: open_masks(f"voc:{tmp_path}", "train").read("a"), "a.png", "21")


def test_voc_broken_xml_leaves_the_image_unlabelled_and_says_why(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "Annotations/a.xml").write_text("<annotation><object>")
    images = open_images(f"voc:{tmp_path}", "train")
    assert "a" not in images.labels
    assert "a.xml" in images.unlabelled["a"]
    assert "\n" not in images.unlabelled["a"]


def test_voc_xml_that_names_an_unknown_class_does_not_pass_as_without_labels(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "Annotations/a.xml").write_text("<annotation><object><name>dgo</name></object></annotation>")
    images = open_images(f"voc:{tmp_path}", "train")
    assert "a" not in images.labels
    assert "a.xml" in images.unlabelled["a"]
    assert "dgo" in images.unlabelled["a"]


def test_voc_xml_may_be_indented(tmp_path: Path) -> None:
    make_voc(tmp_path)
    (tmp_path / "Annotations/a.xml").write_text(
        "<annotation>\n <object>\n  <name>\n   dog\n  </name>\n </object>\n</annotation>"
    )
    assert present(open_images(f"voc:{tmp_path}", "train"), "a") == {"dog"}


def test_unknown_class_is_one_line_with_a_suggestion(tmp_path: Path) -> None:
    make_voc(tmp_path)
    for opener in (open_images, open_masks):
        complaint(lambda opener=opener: opener(f"voc:{tmp_path}", "train", ["kat"]), "--classes", "'cat'")
    complaint(lambda: open_images(f"voc:{tmp_path}", "train", ["cat", "cat"]), "twice")


def test_voc_without_masks_has_no_truth(tmp_path: Path) -> None:
    assert open_masks(f"voc:{make_voc(tmp_path, masks=False)}", "train") is None


# The training data holds no way to a mask


def reachable(thing: object) -> Iterator[object]:
    """Everything an object holds: attributes, items and what its functions have closed over."""
    seen: set[int] = set()
    waiting = [thing]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, (list, tuple, set, frozenset)):
            waiting += one
        elif isinstance(one, functools.partial):
            waiting += [one.func, one.args, one.keywords]
        elif callable(one) and hasattr(one, "__code__"):
            waiting += [cell.cell_contents for cell in one.__closure__ or ()]
            waiting += [one.__defaults__, one.__kwdefaults__, one.__code__.co_consts]
        elif hasattr(one, "__self__"):
            waiting.append(one.__self__)
        elif dataclasses.is_dataclass(one):
            waiting += [getattr(one, f.name) for f in dataclasses.fields(one)]


def test_labelled_images_hold_no_path_to_the_masks(tmp_path: Path) -> None:
    root = make_voc(tmp_path / "with-xml")
    bare = make_voc(tmp_path / "from-masks", xml=False)
    for place in (root, bare):
        found = list(reachable(open_images(f"voc:{place}", "train")))
        words = [str(one) for one in found if isinstance(one, (str, Path))]
        assert any("JPEGImages" in word for word in words)  # the walk does reach the closures
        assert not [word for word in words if "SegmentationClass" in word]


def test_labelled_images_of_coco_hold_no_instances(tmp_path: Path) -> None:
    data = make_coco(tmp_path)
    images, masks = (set(map(type, reachable(f(data, "all")))) for f in (open_images, open_masks))
    assert COCO in masks
    assert COCO not in images


def test_walk_would_find_a_mask_folder_in_a_closure(tmp_path: Path) -> None:
    masks = open_masks(f"voc:{make_voc(tmp_path)}", "train")
    assert any("SegmentationClass" in str(one) for one in reachable(masks) if isinstance(one, (str, Path)))


def test_labels_from_xml_never_open_a_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_voc(tmp_path)
    opened: list[str] = []
    real = Image.open

    def recording(path, *args, **kwargs):
        opened.append(str(path))
        return real(path, *args, **kwargs)

    def forbidden(path: Path):
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(Image, "open", recording)
    monkeypatch.setattr(voc, "read_mask", forbidden)
    images = open_images(f"voc:{tmp_path}", "train")
    for i in images.ids:
        assert images.read(i).size == (4, 6)
    assert present(images, "a") == {"cat", "dog"}
    assert len(opened) == 2
    assert not [path for path in opened if "SegmentationClass" in path]


def test_labelled_images_work_on_after_the_masks_are_gone(tmp_path: Path) -> None:
    make_voc(tmp_path, xml=False)
    images = open_images(f"voc:{tmp_path}", "train")
    shutil.rmtree(tmp_path / "SegmentationClass")
    assert [present(images, i) for i in images.ids] == [{"cat", "dog"}, set()]
    assert all(images.read(i).pixels.shape == (3, 4, 6) for i in images.ids)


# Folder


def make_folder(root: Path, table: str, *, classes: str | None = None, names: str = "a b c") -> str:
    (root / "images").mkdir(parents=True)
    for name in names.split():
        Image.new("RGB", (3, 2)).save(root / f"images/{name if '.' in name else name + '.png'}")
    (root / "labels.csv").write_text(table, encoding="utf-8")
    if classes is not None:
        (root / "classes.txt").write_text(classes, encoding="utf-8")
    return f"folder:{root}"


def test_folder_labels_are_joined_by_semicolons_and_may_be_none(tmp_path: Path) -> None:
    images = open_images(make_folder(tmp_path, "image,labels\na.png,dog; cat\nb,\nc.png,cat\n"), "all")
    assert images.classes == ("cat", "dog")
    assert {i: present(images, i) for i in images.ids} == {"a": {"cat", "dog"}, "b": set(), "c": {"cat"}}
    assert not images.unlabelled


def test_folder_labels_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    images = open_images(make_folder(tmp_path, "\ufeffimage,labels\na.png,cat\n"), "all")
    assert present(images, "a") == {"cat"}


def test_folder_classes_may_start_with_a_byte_order_mark(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na.png,cat\n", classes="\ufeffcat\ndog\n")
    assert open_images(data, "all").classes == ("cat", "dog")


def test_folder_classes_stand_in_sorted_order_or_in_that_of_the_file(tmp_path: Path) -> None:
    table = "image,labels\na,zebra;ant\nb,cow\nc,\n"
    assert open_images(make_folder(tmp_path / "x", table), "all").classes == ("ant", "cow", "zebra")
    listed = make_folder(tmp_path / "y", table, classes="zebra\nunused\nant\ncow\n")
    images = open_images(listed, "all")
    assert images.classes == ("zebra", "unused", "ant", "cow")
    assert images.labels["a"] == {0, 2}


def test_folder_photo_without_a_line_is_unlabelled_and_says_so(tmp_path: Path) -> None:
    images = open_images(make_folder(tmp_path, "image,labels\na,cat\nb,\n"), "all")
    assert set(images.labels) == {"a", "b"}
    assert "labels.csv" in images.unlabelled["c"]
    assert images.read("c").size == (2, 3)


def test_folder_line_without_a_photo_is_named_when_read(tmp_path: Path) -> None:
    images = open_images(make_folder(tmp_path, "image,labels\na,cat\nghost,cat\n"), "all")
    complaint(lambda: images.read("ghost"), "ghost")


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("image,labels\na.png,cat\nb,cat\na.jpg,dog\n", ["line 4", "a.jpg", "twice"]),
        ("image,labels\na,cat,dog\n", ["line 2", ";"]),
        ("image,labels\na\n", ["line 2"]),
        ("file,label\na,cat\n", ["image,labels"]),
        ("image,labels\n\n\na,cat\nb\n", ["line 5"]),
        ("image,labels\na,\n", ["no class"]),
        ("", ["labels.csv"]),
        ('image,labels\na,"' + "x" * 200_000 + "\n", ["labels.csv"]),
    ],
    ids=["twice", "comma", "short", "header", "blank-lines", "no-class", "empty", "open-quote"],
)
def test_folder_with_a_bad_table_is_one_line_that_names_it(
    tmp_path: Path, table: str, words: list[str]
) -> None:
    complaint(lambda: open_images(make_folder(tmp_path, table), "all"), "labels.csv", *words)


def test_folder_without_a_table_is_unlabelled_and_has_the_classes_asked_for(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "")
    (tmp_path / "labels.csv").unlink()
    images = open_images(data, "all", ["dog", "cat"])
    assert (images.classes, images.ids, images.labels) == (("dog", "cat"), ("a", "b", "c"), {})
    assert set(images.unlabelled) == {"a", "b", "c"}
    complaint(lambda: open_images(data, "all"), "labels.csv", "image,labels")


def test_folder_without_photos_is_one_line(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na,cat\n")
    shutil.rmtree(tmp_path / "images")
    complaint(lambda: open_images(data, "all"), "images")


def test_folder_table_in_another_encoding_is_one_line(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "")
    (tmp_path / "labels.csv").write_bytes("image,labels\na,größe\n".encode("latin-1"))
    complaint(lambda: open_images(data, "all"), "labels.csv", "UTF-8")


def test_folder_classes_in_another_encoding_is_one_line(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na,\n")
    (tmp_path / "classes.txt").write_bytes("größe\n".encode("latin-1"))
    complaint(lambda: open_images(data, "all"), "classes.txt")


def test_folder_label_that_is_not_in_classes_txt_is_named(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na,cat;dgo\n", classes="cat\ndog\n")
    complaint(lambda: open_images(data, "all"), "labels.csv", "'dgo'", "classes.txt")


def test_folder_class_that_stands_twice_is_refused(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na,cat\n", classes="cat\ndog\ncat\n")
    complaint(lambda: open_images(data, "all"), "classes.txt", "cat")


def test_folder_blank_line_among_the_classes_does_not_shift_the_numbers(tmp_path: Path) -> None:
    """Class k is line k, so a blank line either counts or is refused; it never moves dog to line 2."""
    data = make_folder(tmp_path, "image,labels\na,dog\n", classes="cat\n\ndog\n\n")
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.full((2, 3), 2, np.uint8)).save(tmp_path / "masks/a.png")
    message = refusal(lambda: open_masks(data, "all", ["dog"]))
    assert message is None or "classes.txt" in message
    if message is None:
        assert open_masks(data, "all", ["dog"]).read("a").unique().tolist() == [255]


def test_folder_photos_of_the_same_stem_are_refused(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na,cat\n", names="a.png a.jpg")
    complaint(lambda: open_images(data, "all"), "a.jpg", "a.png")


def test_folder_names_are_the_same_however_their_accents_are_written(tmp_path: Path) -> None:
    """Some systems take é apart, in the names of files but not in a table."""
    apart, whole = (unicodedata.normalize(form, "Café") for form in ("NFD", "NFC"))
    root = tmp_path / "photos"
    for kind in ("images", "masks"):
        (root / kind).mkdir(parents=True)
        Image.new("L", (8, 6), 1).save(root / kind / f"{apart}.png")
    (root / "labels.csv").write_text(f"image,labels\n{whole}.png,cat\n", encoding="utf-8")
    images, masks = open_images(f"folder:{root}", "all"), open_masks(f"folder:{root}", "all")
    assert images.ids == (whole,)
    assert images.labels == {whole: {0}}
    assert images.read(whole).size == (6, 8)
    assert masks is not None
    assert masks.read(whole).unique().tolist() == [1]


def test_folder_takes_dots_and_capitals_in_names(tmp_path: Path) -> None:
    table = "image,labels\nholiday.2020.png,cat\nB.PNG,dog\nplain.v2,cat\n"
    images = open_images(make_folder(tmp_path, table, names="holiday.2020.png B.PNG plain.v2.png"), "all")
    assert images.ids == ("B", "holiday.2020", "plain.v2")
    assert all(images.read(i).size == (2, 3) for i in images.ids)


def test_folder_splits_are_disjoint_and_together_all(tmp_path: Path) -> None:
    names = " ".join(f"n{n:02}" for n in range(30))
    data = make_folder(tmp_path, "image,labels\nn00,cat\n", names=names)
    train, val, everything = (open_images(data, split).ids for split in ("train", "val", "all"))
    assert not set(train) & set(val)
    assert set(train) | set(val) == set(everything)
    assert len(everything) == 30
    for i in everything:  # the documented rule, worked out again
        first = int(hashlib.sha256(i.encode()).hexdigest()[:8], 16)
        assert (i in val) == (first % 5 == 0)
    for opener in (open_images, open_masks):
        (tmp_path / "masks").mkdir(exist_ok=True)
        complaint(lambda opener=opener: opener(data, "test"), "test", "train, val and all")


def test_folder_with_an_empty_split_is_one_line(tmp_path: Path) -> None:
    name = next(f"x{n}" for n in itertools.count() if own_split([f"x{n}"], "train", ""))
    data = make_folder(tmp_path, f"image,labels\n{name},cat\n", names=name)
    complaint(lambda: open_images(data, "val"), "val", "empty")


def test_folder_may_show_some_of_the_classes_asked_for(tmp_path: Path) -> None:
    """More photos for a trained classifier; which classes its masks number is then not clear."""
    data = make_folder(tmp_path, "image,labels\na,cow\n")
    images = open_images(data, "all", ["cow", "ant"])
    assert (images.classes, images.labels["a"]) == (("cow", "ant"), {0})
    complaint(lambda: open_images(data, "all", ["cwo", "ant"]), "no class named 'cwo'", "did you mean 'cow'")
    (tmp_path / "masks").mkdir()
    complaint(lambda: open_masks(data, "all", ["cow", "ant"]), "classes.txt", "1 of 2 classes")


def test_no_class_is_called_as_masks_call_the_rest(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na,background;cow\n")
    assert open_images(data, "all", ["cow"]).labels["a"] == {0}
    complaint(lambda: open_images(data, "all"), "background", "--classes")


def test_folder_masks_are_renumbered_to_the_classes_kept(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na,cow;ant\n", classes="ant\nbee\ncow\n")
    assert open_masks(data, "all") is None
    (tmp_path / "masks").mkdir()
    Image.fromarray(np.array([[0, 1, 2], [3, 255, 3]], np.uint8)).save(tmp_path / "masks/a.png")
    Image.fromarray(np.array([[0, 4]], np.uint8)).save(tmp_path / "masks/b.png")
    assert open_masks(data, "all").read("a").tolist() == [[0, 1, 2], [3, 255, 3]]
    assert open_masks(data, "all", ["cow", "ant"]).read("a").tolist() == [[0, 2, 255], [1, 255, 1]]
    complaint(lambda: open_masks(data, "all").read("b"), "b.png", "4", "3 classes")
    complaint(lambda: open_masks(data, "all").read("c"), "c.png")


def test_data_is_named_by_its_absolute_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Evidence is kept under it, and must be found again from another folder."""
    make_voc(tmp_path / "voc")
    make_folder(tmp_path / "own", "image,labels\na,cat\n")
    make_coco(tmp_path / "coco")
    here = [
        ("voc:{}voc", "train"),
        ("folder:{}own", "all"),
        ("coco:{0}coco/images:{0}coco/instances.json", "all"),
    ]
    monkeypatch.chdir(tmp_path)
    for data, split in here:
        absolute = data.format(f"{tmp_path}/")
        for place in ("", "./", f"{tmp_path}/own/../"):
            assert open_images(data.format(place), split).data == absolute


# COCO


def rectangle(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


def annotation(image: int, category: int, segmentation, area: float, crowd: int = 0) -> dict[str, object]:
    numbers = {"image_id": image, "category_id": category, "area": area, "iscrowd": crowd}
    return {"id": area, "segmentation": segmentation, "bbox": [0, 0, 1, 1], **numbers}


CATEGORIES = [{"id": 90, "name": "zebra"}, {"id": 3, "name": "cat"}, {"id": 17, "name": "dog"}]


def make_coco(root: Path, annotations=None, *, name: str = "instances.json", **changes) -> str:
    """Image 12 has a zebra in front of a cat, and a crowd of dogs; image 7 has nothing. 8 × 6 pixels."""
    (root / "images").mkdir(parents=True, exist_ok=True)
    for i in (7, 12):
        Image.new("RGB", (8, 6), (i, 0, 0)).save(root / f"images/{i:04}.png")
    content = {
        "images": [{"id": i, "file_name": f"{i:04}.png", "width": 8, "height": 6} for i in (12, 7)],
        "categories": CATEGORIES,
        "annotations": [
            annotation(12, 90, rectangle(1, 1, 3, 3), 4),
            annotation(12, 3, rectangle(0, 0, 6, 4), 24),
            # runs down the columns: five columns of 6 pixels are not of the crowd, the last three are
            annotation(12, 17, {"size": [6, 8], "counts": [30, 18]}, 18.5, crowd=1),
        ]
        if annotations is None
        else annotations,
    }
    (root / name).write_text(json.dumps(content | changes))
    return f"coco:{root / 'images'}:{root / name}"


def test_coco_mask_is_the_drawing_smaller_over_larger_and_crowd_void_underneath(tmp_path: Path) -> None:
    masks = open_masks(make_coco(tmp_path), "all")
    assert masks.classes == ("cat", "dog", "zebra")  # in the order of the official ids, without their gaps
    assert masks.read("12").tolist() == [
        [1, 1, 1, 1, 1, 1, 255, 255],
        [1, 3, 3, 1, 1, 1, 255, 255],
        [1, 3, 3, 1, 1, 1, 255, 255],
        [1, 1, 1, 1, 1, 1, 255, 255],
        [0, 0, 0, 0, 0, 255, 255, 255],
        [0, 0, 0, 0, 0, 255, 255, 255],
    ]
    assert masks.read("7").tolist() == [[0] * 8] * 6


def test_coco_labels_are_the_categories_annotated_and_none_for_an_empty_image(tmp_path: Path) -> None:
    images = open_images(make_coco(tmp_path), "all")
    assert images.ids == ("7", "12")
    assert images.labels["7"] == frozenset()
    assert {"cat", "zebra"} <= present(images, "12") <= {"cat", "dog", "zebra"}
    assert images.read("12").pixels[0].unique().tolist() == [12]


def test_coco_keeps_the_classes_asked_for_and_voids_the_others(tmp_path: Path) -> None:
    data = make_coco(tmp_path)
    assert open_images(data, "all", ["zebra"]).labels["12"] == {0}
    kept = open_masks(data, "all", ["zebra"]).read("12")
    assert kept[0].tolist() == [255] * 8
    assert kept[1].tolist() == [255, 1, 1, 255, 255, 255, 255, 255]
    assert kept[5].tolist() == [0, 0, 0, 0, 0, 255, 255, 255]


def test_coco_files_written_from_coco_data_keep_its_numbers(tmp_path: Path) -> None:
    """Which are not in order and have gaps: beside the data's own file, zebra must be zebra."""
    images = open_images(make_coco(tmp_path), "all", ["zebra", "cat"])
    labels = np.array([[0, 1, 2, VOID]], np.uint8)
    written = coco.instances([(12, "0012.png", labels)], images.classes, images.category_ids)
    assert written["categories"] == [{"id": 90, "name": "zebra"}, {"id": 3, "name": "cat"}]
    assert [(a["category_id"], a["bbox"]) for a in written["annotations"]] == [
        (90, [1, 0, 1, 1]), (3, [2, 0, 1, 1]),
    ]  # fmt: skip
    unnumbered = coco.instances([(12, "0012.png", labels)], images.classes)
    assert [a["category_id"] for a in unnumbered["annotations"]] == [1, 2]


def test_coco_split_in_the_paths_is_filled_in(tmp_path: Path) -> None:
    for split in ("train", "val"):
        make_coco(tmp_path / split, name=f"instances_{split}2017.json")
        (tmp_path / split / "images").rename(tmp_path / f"{split}2017")
    data = f"coco:{tmp_path}/{{split}}2017:{tmp_path}/{{split}}/instances_{{split}}2017.json"
    images = open_images(data, "val")
    assert images.ids == ("7", "12")  # the whole file, not a fifth of it
    assert images.read("7").size == (6, 8)
    assert open_masks(data, "val").read("12")[1, 1] == 3
    complaint(lambda: open_images(data, "test"), "test2017")
    train = open_images(data, "train")
    assert train.ids == images.ids  # each file numbers its own
    assert not images.shared(train)
    assert images.shared(images) == {"7", "12"}


def test_coco_file_of_its_own_is_split_by_the_ids(tmp_path: Path) -> None:
    listed = [{"id": i, "file_name": f"{i}.png", "width": 8, "height": 6} for i in range(50)]
    data = make_coco(tmp_path, annotations=[], images=listed)
    train, val = open_images(data, "train").ids, open_images(data, "val").ids
    assert not set(train) & set(val)
    assert set(train) | set(val) == {str(i) for i in range(50)}
    assert val
    complaint(lambda: open_images(data, "test"), "test", "train, val and all")


def test_coco_with_unusable_paths_is_one_line(tmp_path: Path) -> None:
    data = make_coco(tmp_path)
    complaint(lambda: open_images(f"coco:{tmp_path}/images", "all"), "IMAGES_DIR:INSTANCES_JSON")
    complaint(lambda: open_images(f"coco:{tmp_path}/none:{tmp_path}/instances.json", "all"), "none")
    complaint(lambda: open_images(f"{data}.gone", "all"), "instances.json.gone")
    complaint(lambda: open_images(f"coco:{tmp_path}/images:{tmp_path}", "all"), str(tmp_path))
    for name, text in (("list", "[1]"), ("cut", '{"images": [{'), ("bare", "{}")):
        (tmp_path / name).write_text(text)
        complaint(lambda name=name: open_images(f"coco:{tmp_path}/images:{tmp_path / name}", "all"), name)


def without(entry: dict[str, object], key: str) -> dict[str, object]:
    return {k: v for k, v in entry.items() if k != key}


CAT = annotation(12, 3, rectangle(0, 0, 4, 4), 16)


@pytest.mark.parametrize(
    "changes",
    [
        {"annotations": [CAT | {"category_id": 4}]},
        {"annotations": [without(CAT, "segmentation")]},
        {"annotations": [CAT | {"segmentation": []}]},
        {"annotations": [CAT | {"segmentation": [[0, 0, 1, 1]]}]},
        {"images": [{"id": 12, "width": 8, "height": 6}], "annotations": []},
        {"images": [{"id": 12, "file_name": "0012.png"}], "annotations": []},
        {"images": [{"id": "a", "file_name": "0012.png", "width": 8, "height": 6}], "annotations": []},
    ],
    ids=["category", "no-polygon", "empty-polygon", "short-polygon", "no-file", "no-size", "text-id"],
)
def test_coco_entry_that_cannot_be_used_is_one_line_that_names_the_file(tmp_path: Path, changes) -> None:
    data = make_coco(tmp_path, **changes)

    def use_all() -> None:
        images = open_images(data, "all")
        for i in images.ids:
            open_masks(data, "all").read(i)

    complaint(use_all, "instances.json")


def test_coco_annotation_without_an_area_is_painted_all_the_same(tmp_path: Path) -> None:
    large, small = annotation(12, 3, rectangle(0, 0, 4, 4), 16), annotation(12, 17, rectangle(1, 1, 3, 3), 4)
    data = make_coco(tmp_path, [without(small, "area"), without(large, "area")])
    assert open_masks(data, "all").read("12")[:4, :4].tolist() == [
        [1, 1, 1, 1],
        [1, 2, 2, 1],
        [1, 2, 2, 1],
        [1, 1, 1, 1],
    ]


@pytest.fixture(scope="module")
def coco128() -> str:
    root = DATA / "coco128"
    if not (root / "instances.json").is_file():
        pytest.skip("coco128 is not in $BEYONDCAM_DATA")
    return f"coco:{root / 'images'}:{root / 'instances.json'}"


def test_coco128_masks_hold_only_the_labels(coco128: str) -> None:
    images, masks = open_images(coco128, "all"), open_masks(coco128, "all")
    assert len(images.ids) == 128
    assert len(images.classes) == 80
    assert sum(not images.labels[i] for i in images.ids) == 2
    assert len(set().union(*images.labels.values())) == 71
    for i in images.ids[::4]:
        values = set(masks.read(i).unique().tolist()) - {0}
        assert values <= {c + 1 for c in images.labels[i]}
        assert bool(values) == bool(images.labels[i])


def test_coco128_masks_agree_with_polygons_drawn_by_another_library(coco128: str) -> None:
    content = json.loads(Path(coco128.rpartition(":")[2]).read_text())
    number = {c["id"]: k for k, c in enumerate(sorted(content["categories"], key=lambda c: c["id"]), 1)}
    masks = open_masks(coco128, "all")
    for image in content["images"][::12]:
        canvas = Image.new("L", (image["width"], image["height"]))
        draw = ImageDraw.Draw(canvas)
        own = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        for a in sorted(own, key=lambda a: -a["area"]):
            for polygon in a["segmentation"]:
                draw.polygon(polygon, fill=number[a["category_id"]])
        agreement = (np.asarray(canvas) == masks.read(str(image["id"])).numpy()).mean()
        assert agreement > 0.985, image["id"]


# Digits


@pytest.fixture(scope="module")
def canvases() -> tuple:
    return open_images("digits", "val"), open_masks("digits", "val")


def test_digits_splits_draw_from_disjoint_digits() -> None:
    train, val = set(digits.source_digits("train").tolist()), set(digits.source_digits("val").tolist())
    assert not train & val
    assert train | val == set(range(5000))
    assert len(val) >= 500


def test_digits_canvases_are_made_of_their_own_splits_digits_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the other split's digits erased, every canvas stays the same."""
    glyphs, names = digits._mnist()
    for split, other in (("train", "val"), ("val", "train")):
        ids = [f"{split}-{n:05}" for n in range(20)]
        before = [digits.make_canvas.__wrapped__(i) for i in ids]
        blanked = glyphs.copy()
        blanked[digits.source_digits(other)] = 0.5
        with monkeypatch.context() as patch:
            patch.setattr(digits, "_mnist", lambda blanked=blanked: (blanked, names))
            after = [digits.make_canvas.__wrapped__(i) for i in ids]
        for a, b in zip(before, after, strict=True):
            assert np.array_equal(a[0], b[0])
            assert np.array_equal(a[1], b[1])


def test_digits_canvas_depends_on_its_id_alone() -> None:
    once = digits.make_canvas.__wrapped__("train-00007")
    np.random.seed(5)  # noqa: NPY002  (the global stream must not matter)
    digits.make_canvas.__wrapped__("train-00003")
    again = digits.make_canvas.__wrapped__("train-00007")
    assert np.array_equal(once[0], again[0])
    assert np.array_equal(once[1], again[1])
    for other in ("train-00008", "val-00007"):
        assert not np.array_equal(once[0], digits.make_canvas.__wrapped__(other)[0])


def test_digits_masks_hold_exactly_the_labels(canvases: tuple) -> None:
    images, masks = canvases
    assert len(images.ids) == 200
    for i in images.ids:
        mask = masks.read(i)
        assert mask.shape == (64, 64) == images.read(i).size
        assert set(mask.unique().tolist()) - {0} == {c + 1 for c in images.labels[i]}
    assert {len(images.labels[i]) for i in images.ids} >= {1, 2, 3}


def test_digits_of_classes_left_out_are_void(canvases: tuple) -> None:
    images, masks = canvases
    kept_images, kept = open_images("digits", "val", ["7", "2"]), open_masks("digits", "val", ["7", "2"])
    for i in images.ids[:20]:
        full = masks.read(i)
        expected = torch.full_like(full, 255)
        expected[full == 0], expected[full == 8], expected[full == 3] = 0, 1, 2
        assert torch.equal(kept.read(i), expected)
        assert {kept_images.classes[c] for c in kept_images.labels[i]} == present(images, i) & {"7", "2"}


def best_iou_of_a_threshold(brightness: np.ndarray, foreground: np.ndarray) -> float:
    """The best IoU that `brightness > t` or `brightness < t` reaches at any t."""
    values = np.unique(brightness)
    bright = np.histogram(brightness[foreground], [*values, np.inf])[0]
    total = np.histogram(brightness, [*values, np.inf])[0]
    best = 0.0
    for order in (slice(None), slice(None, None, -1)):
        inside, taken = bright[order].cumsum(), total[order].cumsum()
        best = max(best, (inside / (taken + foreground.sum() - inside)).max())
    return best


@pytest.mark.parametrize("channel", ["mean", "max", "min"])
def test_digits_cannot_be_segmented_by_brightness(canvases: tuple, channel: str) -> None:
    images, masks = canvases
    photos = np.stack([images.read(i).pixels.numpy().astype(float) for i in images.ids[:50]])
    foreground = np.stack([masks.read(i).numpy() > 0 for i in images.ids[:50]])
    brightness = getattr(photos, channel)(axis=1)
    assert best_iou_of_a_threshold(foreground * 2.0, foreground) == 1  # the measure finds what is there
    assert best_iou_of_a_threshold(brightness, foreground) < 0.6


def test_later_digit_hides_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    glyphs = np.ones((2, 28, 28), np.float32)
    monkeypatch.setattr(digits, "_mnist", lambda: (glyphs, np.array([3, 8])))
    canvas, mask = np.zeros((3, 64, 64), np.float32), np.zeros((64, 64), np.uint8)

    class Fixed:
        """Draws that put a box of 36 pixels at a given corner, in a given colour."""

        def __init__(self, y: int, x: int, colour: float) -> None:
            self.corner, self.colour = np.array([y, x]), np.full(3, colour)

        def integers(self, low, high, size=None):
            return 36 if size is None else self.corner

        def uniform(self, low, high, size):
            return self.colour

    assert digits._paint(Fixed(0, 0, 0.6), canvas, mask, 0) == (3, 36 * 36)
    assert digits._paint(Fixed(20, 20, 0.9), canvas, mask, 1) == (8, 36 * 36)
    expected = np.zeros((64, 64), np.uint8)
    expected[:36, :36] = 4
    expected[20:56, 20:56] = 9
    assert np.array_equal(mask, expected)
    assert np.allclose(canvas[0][expected == 9], 0.9)
    assert np.allclose(canvas[0][expected == 4], 0.6)


def test_digits_splits_have_parts_that_are_their_first_canvases() -> None:
    images = open_images("digits", "val_7")
    assert images.ids == open_images("digits", "val").ids[:7]
    assert open_images("digits", "val_999").ids == open_images("digits", "val").ids
    for split in ("val_", "val_x", "test_7", "_7"):
        complaint(lambda split=split: open_images("digits", split), split, "train, val")


def test_digits_without_settings_are_the_canvases_they_always_were() -> None:
    """The first hundred of either split, by a hash that was taken before there were any settings."""
    known = {"train": "04117b9aa95092b5", "val": "0a41f101163c3a96"}
    for split, digest in known.items():
        images, masks = open_images("digits", f"{split}_100"), open_masks("digits", f"{split}_100")
        own = hashlib.sha256()
        for i in images.ids:
            own.update(i.encode() + images.read(i).pixels.numpy().tobytes() + masks.read(i).numpy().tobytes())
        assert own.hexdigest()[:16] == digest
        assert images.data == "digits"


def settings_of(place: str) -> tuple:
    return open_images(f"digits:{place}", "val_12"), open_masks(f"digits:{place}", "val_12")


def test_digits_settings_are_the_number_and_the_size_of_the_digits() -> None:
    images, masks = settings_of("objects=1,smallest=50,largest=50")
    assert {len(images.labels[i]) for i in images.ids} == {1}
    for i in images.ids:
        rows, columns = masks.read(i).nonzero(as_tuple=True)
        assert max(rows.max() - rows.min(), columns.max() - columns.min()) in range(30, 50)
    few, many = settings_of("objects=5,smallest=12,largest=16")
    boxes = [ndimage.label(many.read(i).numpy() > 0)[1] for i in few.ids]
    assert min(boxes) >= 3  # some touch
    assert max(boxes) >= 5


def test_digits_specks_and_scraps_are_where_they_are_asked_for() -> None:
    """Without scraps or specks there is noise of 0.04 alone; specks add their own variance."""

    def roughness(place: str) -> tuple[float, float]:
        """Deviation of steps of two pixels: on the ground, and inside digits."""
        images, masks = settings_of(f"objects=1,smallest=50,largest=50,{place}")
        ground, digit = [], []
        for i in images.ids:
            pixels, mask = images.read(i).pixels.numpy()[0] / 255, masks.read(i).numpy()
            step = pixels[:, 2:] - pixels[:, :-2]
            for own, where, margin in ((ground, mask == 0, 4), (digit, mask > 0, 2)):
                inside = ndimage.binary_erosion(where, iterations=margin)
                own.extend(step[inside[:, 2:] & inside[:, :-2]].tolist())
        return float(np.std(ground)), float(np.std(digit))

    smooth, cluttered, rough, speckled = map(
        roughness, ("scraps=0", "scraps=100", "scraps=0,ground=0.2", "scraps=0,inside=0.2")
    )
    noise, specks = 2 * 0.04**2, 2 * 0.2**2 / 12  # neighbouring specks are independent and uniform
    assert smooth[0] == pytest.approx(noise**0.5, rel=0.15)
    assert cluttered[0] > 2 * smooth[0]
    assert rough[0] == pytest.approx((smooth[0] ** 2 + specks) ** 0.5, rel=0.1)
    assert speckled[0] == pytest.approx(smooth[0], rel=0.1)
    assert speckled[1] > 1.2 * smooth[1]


def test_digits_settings_are_named_in_a_fixed_order_without_the_usual_ones() -> None:
    for written, named in (
        ("scraps=4,largest=32", "digits:largest=32,scraps=4"),
        ("objects=3", "digits:objects=3-3"),
        ("objects=2-4,scraps=16", "digits"),
        ("inside=0.50,ground=1", "digits:inside=0.5,ground=1"),
        ("inside=0.12345678", "digits:inside=0.12345678"),
    ):
        images = open_images(f"digits:{written}", "val_1")
        assert images.data == named
        assert open_images(named, "val_1").data == named


@pytest.mark.parametrize(
    ("place", "named"),
    [
        ("x", "x"),
        ("scraps=many", "scraps"),
        ("smallest=8", "smallest"),
        ("largest=65", "largest"),
        ("smallest=40,largest=24", "smaller number comes first"),
        ("objects=4-2", "smaller number comes first"),
        ("objects=0", "objects"),
        ("inside=2", "inside"),
        ("smallest=60,largest=64,objects=9-9", "fewer or smaller"),
    ],
)
def test_digits_settings_that_cannot_be_are_one_line(
    place: str, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digits, "_DRAWS", 20)
    complaint(lambda: open_images(f"digits:{place}", "val_1"), f"digits:{place}", named)


def test_digits_has_no_other_split() -> None:
    complaint(lambda: open_images("digits", "test"), "test", "train, val")
    complaint(lambda: open_masks("digits", "test"), "test", "train, val")
    complaint(lambda: open_images("digits", "val", ["ten"]), "ten")
