"""Instances files as programs write them: read right, or refused in a line, before anything is painted."""

import json
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from builders import CATEGORIES, annotation, make_coco, present, rectangle
from PIL import Image
from pycocotools import mask as rle

from beyondcam.data import open_images
from beyondcam.data.masks import open_masks
from beyondcam.data.painting import _unpacked
from beyondcam.errors import BeyondcamError
from conftest import complaint

IMAGES = [{"id": i, "file_name": f"{i:04}.png", "width": 8, "height": 6} for i in (12, 7)]
CAT = annotation(12, 3, rectangle(0, 0, 4, 4), 16)


def changed(entries: list[dict[str, object]], **changes: object) -> list[dict[str, object]]:
    return [entry | changes for entry in entries]


# What is read right


def test_ids_and_sizes_may_be_written_as_text_and_sizes_be_missing(tmp_path: Path) -> None:
    expected = open_masks(make_coco(tmp_path / "plain", [CAT]), "all").read("12").tolist()
    for name, images, cat in (
        ("text", [e | {"id": str(e["id"]), "width": "8", "height": "6"} for e in IMAGES], {"image_id": "12"}),
        ("null", changed(IMAGES, width=None, height=None), {"area": None}),
        ("float", [e | {"id": float(e["id"])} for e in IMAGES], {"image_id": 12.0, "category_id": "3"}),
        ("odd", changed(IMAGES, width=-3, height=0), {"area": "large"}),
    ):
        data = make_coco(tmp_path / name, [CAT | cat], images=images)
        assert present(open_images(data, "all"), "12") == {"cat"}
        assert open_masks(data, "all").read("12").tolist() == expected


def test_byte_order_mark_backslashes_and_colons_are_read(tmp_path: Path) -> None:
    root = tmp_path / "2024-01-01T10:00"
    make_coco(root, images=[e | {"file_name": f"sub\\{e['file_name']}"} for e in IMAGES])
    (root / "images/sub").mkdir()
    for path in (root / "images").glob("*.png"):
        path.rename(path.parent / "sub" / path.name)
    file = root / "instances.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    images = open_images(f"coco:{root / 'images'}:{file}", "all")
    assert images.read("12").size == (6, 8)
    assert images.data == f"coco:{root / 'images'}:{file}"
    absolute = [e | {"file_name": f"{root / 'images'}/sub/{e['file_name']}"} for e in IMAGES]
    data = make_coco(root, images=absolute)
    assert open_images(data, "all").read("12").size == (6, 8)


@pytest.mark.parametrize("name", ["things", "cat"])
def test_root_that_no_annotation_uses_is_no_class(tmp_path: Path, name: str) -> None:
    root = {"id": 0, "name": name, "supercategory": "none"}
    categories = [root, *({**c, "supercategory": name} for c in CATEGORIES)]
    data = make_coco(tmp_path, categories=categories)
    images = open_images(data, "all")
    assert images.classes == ("cat", "dog", "zebra")
    assert images.category_ids == (3, 17, 90)
    assert open_masks(data, "all").read("12")[1, 1] == 3


def test_category_that_no_annotation_uses_is_a_class_where_it_is_no_root(tmp_path: Path) -> None:
    data = make_coco(tmp_path, [CAT], categories=changed(CATEGORIES, supercategory="animal"))
    assert open_images(data, "all").classes == ("cat", "dog", "zebra")


def test_file_without_annotations_or_categories_is_of_unlabelled_photos(tmp_path: Path) -> None:
    data = make_coco(tmp_path, [])
    file = tmp_path / "instances.json"
    content = json.loads(file.read_text())
    for annotations in ({"annotations": []}, {"annotations": None}, {}):
        del content["annotations"]
        content |= annotations
        file.write_text(json.dumps(content))
        images = open_images(data, "all")
        assert images.labels == {}
        assert set(images.unlabelled) == {"7", "12"}
        assert "no annotations" in images.unlabelled["7"]
        assert open_masks(data, "all") is None
        content["annotations"] = []
    bare = make_coco(tmp_path / "bare", annotations=[], categories=[])
    complaint(lambda: open_images(bare, "all"), "instances.json", "no categories")
    assert open_images(bare, "all", ["cat"]).classes == ("cat",)


# What is refused


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"images": [*IMAGES, IMAGES[0] | {"file_name": "b.png"}]}, ["image id 12", "two files"]),
        ({"images": [*IMAGES, IMAGES[0] | {"id": 13}]}, ["0012.png", "12 and 13", "two files"]),
        ({"categories": [*CATEGORIES, {"id": 5, "name": "cat "}],
          "annotations": [CAT, CAT | {"category_id": 5}]},
         ["two categories", "'cat'", "3 and 5"]),
        ({"categories": [*CATEGORIES, {"id": 5, "name": "Cat"}]}, ["'Cat' is also written 'cat'"]),
        ({"categories": [*CATEGORIES, {"id": 3, "name": "cow"}]}, ["same id"]),
        ({"categories": [{"id": 3}]}, ["category 3 has no name"]),
        ({"categories": [{"id": None, "name": "cat"}]}, ["no whole number"]),
        ({"annotations": [CAT | {"image_id": 99}]}, ["other images"]),
        ({"images": [IMAGES[0] | {"id": "a"}]}, ["'a'", "no whole number"]),
        ({"images": {}}, ["images is no list"]),
        ({"images": [3]}, ["images is no list"]),
        ({"annotations": "none"}, ["annotations is no list"]),
    ],
)  # fmt: skip
def test_file_that_is_surely_wrong_is_one_line(tmp_path: Path, changes, words: list[str]) -> None:
    complaint(lambda: open_images(make_coco(tmp_path, **changes), "all"), *words)


def test_one_bad_entry_leaves_the_other_images_alone(tmp_path: Path) -> None:
    images = [IMAGES[0] | {"file_name": None}, IMAGES[1], {"id": 3, "file_name": "x"}]
    data = make_coco(
        tmp_path, [CAT, CAT | {"image_id": 7}, CAT | {"image_id": 3, "category_id": 4}], images=images
    )
    found = open_images(data, "all")
    assert found.read("7").size == (6, 8)
    assert present(found, "7") == present(found, "12") == {"cat"}
    complaint(lambda: found.read("12"), "instances.json", "image 12", "file_name")
    assert "category 4" in found.unlabelled["3"]
    assert open_masks(data, "all").read("7").max() == 1
    complaint(lambda: open_masks(data, "all").read("3"), "category 4")
    complaint(lambda: open_masks(data, "all").read("99"), "no image 99")


@pytest.mark.parametrize(
    "name", ["../../secret.png", "/etc/hostname", "a/../../x.png", "", "C:/x.png", "a\0b"]
)
def test_photo_that_is_named_elsewhere_is_never_read(tmp_path: Path, name: str) -> None:
    Image.new("RGB", (8, 6)).save(tmp_path / "secret.png")
    data = make_coco(tmp_path / "deep", images=[IMAGES[0] | {"file_name": name}, IMAGES[1]])
    images = open_images(data, "all")
    complaint(lambda: images.read("12"))
    assert images.file_of("12") is None
    assert images.read("7").size == (6, 8)


# Segmentations


@pytest.mark.parametrize(
    "shape",
    [
        [[0, 0, float("nan"), 4, 4, 4]],
        [[0, 0, None, 4, 4, 4]],
        [[0, 0, 1e8, 4, 4, 4]],
        [[0, 0, -1e300, 4, 4, 4]],
        [[1e9, 1e9, 1e9, 1e9 + 1, 1e9 + 1, 1e9]],
        [[0, 0, 1, 1, 2]],
        [[0, 0, 4, 4]],
        [[]],
        [[[0, 0], [1, 1], [2, 2]]],
        [["a", 0, 1, 1, 2, 2]],
        [0, 0, 4, 4],
        "polygon",
        None,
        [[0, 0, 900_000, 900_000] * 5],
        {"size": [8, 6], "counts": [10, 38]},
        {"size": [6, 8], "counts": [10, 39]},
        {"size": [6, 8], "counts": [-1, 49]},
        {"size": [6, 8], "counts": [10, None]},
        {"size": [6, 8], "counts": [2**63, 2**63]},
        {"size": [6, 8], "counts": "oooooooo"},
        {"size": [6, 8], "counts": "\x00\x7f"},
        {"size": [6, 8], "counts": "größe"},
        {"size": [6, 8], "counts": ""},
        {"size": [6, 8], "counts": None},
        {"size": None, "counts": "0"},
        {"counts": [48]},
    ],
    ids=range(26),
)
def test_segmentation_that_cannot_be_is_one_line_of_its_image_in_no_time_and_memory(
    tmp_path: Path, shape
) -> None:
    data = make_coco(tmp_path, [CAT | {"segmentation": shape}, CAT | {"image_id": 7}])
    masks = open_masks(data, "all")
    started = time.monotonic()
    tracemalloc.start()
    try:
        complaint(lambda: masks.read("12"), "instances.json", "image 12", "unusable segmentation")
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 1
    assert masks.read("7").max() == 1


def test_size_that_is_not_the_photos_is_refused_before_it_is_painted(tmp_path: Path) -> None:
    for size in ({"width": 6, "height": 8}, {"width": 900_000, "height": 900_000}):
        data = make_coco(tmp_path, [CAT], images=[IMAGES[0] | size])
        complaint(lambda data=data: open_masks(data, "all").read("12"), "as a photo", "8×6")
    data = make_coco(tmp_path, [CAT], images=[IMAGES[0] | {"width": 900_000, "height": 900_000}])
    (tmp_path / "images/0012.png").unlink()
    complaint(lambda: open_masks(data, "all").read("12"), "megapixels")


def test_runs_are_those_of_pycocotools(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for share in (0.02, 0.5, 0.98):
        for height, width in ((1, 1), (6, 8), (37, 53), (200, 150)):
            inside = np.asfortranarray(rng.random((height, width)) < share, np.uint8)
            packed = rle.encode(inside)
            counts = _unpacked(packed["counts"].decode())
            again = rle.frPyObjects({"size": [height, width], "counts": counts.tolist()}, height, width)
            assert again["counts"] == packed["counts"]
            photo = Image.new("RGB", (width, height))
            (tmp_path / "images").mkdir(exist_ok=True)
            content = {
                "images": [{"id": 1, "file_name": "1.png", "width": width, "height": height}],
                "categories": [{"id": 1, "name": "a"}],
            }
            for shape in (packed["counts"].decode(), counts.tolist()):
                runs = {"size": [height, width], "counts": shape}
                entry = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": runs}
                file = tmp_path / f"{height}-{share}-{type(shape).__name__}.json"
                file.write_text(json.dumps(content | {"annotations": [entry]}))
                photo.save(tmp_path / "images/1.png")
                mask = open_masks(f"coco:{tmp_path / 'images'}:{file}", "all").read("1").numpy()
                assert np.array_equal(mask, inside)


# Photos that are turned


def turned(root: Path, orientation: int, stored: np.ndarray, size: tuple[int, int], polygon) -> str:
    """A photo that its EXIF turns, and an instance of (height, width) `size`."""
    block = Image.Exif()
    block[0x0112] = orientation
    entry = {"id": 12, "file_name": "0012.png", "height": size[0], "width": size[1]}
    data = make_coco(root, [CAT | {"segmentation": polygon}], images=[entry])
    Image.fromarray(stored).save(root / "images/0012.png", exif=block)
    return data


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_annotations_of_the_stored_photo_are_turned_with_it(tmp_path: Path, orientation: int) -> None:
    stored = np.zeros((6, 8, 3), np.uint8)
    stored[1:3, 2:5] = 255
    data = turned(tmp_path, orientation, stored, (6, 8), rectangle(2, 1, 5, 3))
    photo = open_images(data, "all").read("12")
    mask = open_masks(data, "all").truth("12", photo.size)
    assert photo.size == (8, 6)
    assert np.array_equal(mask == 1, photo.pixels[0].numpy() == 255)


def test_annotations_of_the_upright_photo_stay(tmp_path: Path) -> None:
    stored = np.zeros((6, 8, 3), np.uint8)
    stored[1:3, 2:5] = 255
    upright = open_images(turned(tmp_path, 6, stored, (6, 8), rectangle(2, 1, 5, 3)), "all").read("12")
    rows, columns = np.nonzero(upright.pixels[0].numpy())
    box = rectangle(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    data = turned(tmp_path / "upright", 6, stored, (8, 6), [[int(n) for n in box[0]]])
    mask = open_masks(data, "all").truth("12", (8, 6))
    assert np.array_equal(mask == 1, upright.pixels[0].numpy() == 255)


@pytest.mark.parametrize(("orientation", "shape"), [(3, (6, 8)), (2, (6, 8)), (6, (8, 8))])
def test_truth_whose_turn_cannot_be_told_is_refused(
    tmp_path: Path, orientation: int, shape: tuple[int, int]
) -> None:
    data = turned(tmp_path, orientation, np.zeros((*shape, 3), np.uint8), shape, rectangle(2, 1, 5, 3))
    assert present(open_images(data, "all"), "12") == {"cat"}
    complaint(lambda: open_masks(data, "all").read("12"), "EXIF orientation", "save it upright")


@pytest.mark.parametrize("key", ["id", "image_id", "category_id", "iscrowd", "area", "segmentation", "bbox"])
@pytest.mark.parametrize("value", [[], {}, [[]], "x", float("nan"), 10**40, -1, True, None])
def test_any_value_in_an_annotation_is_read_or_is_one_line(tmp_path: Path, key: str, value) -> None:
    data = make_coco(tmp_path, [CAT | {key: value}, CAT | {"image_id": 7}])
    assert present(open_images(data, "all"), "7") == {"cat"}
    with suppress(BeyondcamError):
        open_masks(data, "all").read("12")


@pytest.mark.parametrize("value", [[], {}, 3, None])
def test_supercategory_may_be_anything(tmp_path: Path, value) -> None:
    data = make_coco(tmp_path, categories=changed(CATEGORIES, supercategory=value))
    assert open_images(data, "all").classes == ("cat", "dog", "zebra")
