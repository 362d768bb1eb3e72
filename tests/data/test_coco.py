"""COCO's instances files: labels, masks, and what is wrong with them."""

import json
import os
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from builders import annotation, make_coco, present, rectangle
from PIL import Image, ImageDraw

from beyondcam.data import VOID, coco, open_images
from beyondcam.data.masks import open_masks
from beyondcam.label_images import check_apart
from conftest import complaint

DATA = Path(os.environ.get("BEYONDCAM_DATA", "/nowhere"))


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
    assert present(images, "12") == {"cat", "dog", "zebra"}  # a crowd of dogs shows dogs
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
        {"images": [{"id": 12, "width": 8, "height": 6}]},
        {"images": [{"id": "a", "file_name": "0012.png", "width": 8, "height": 6}], "annotations": []},
    ],
    ids=["category", "no-polygon", "empty-polygon", "short-polygon", "no-file", "text-id"],
)
def test_coco_entry_that_cannot_be_used_is_one_line_that_names_the_file(tmp_path: Path, changes) -> None:
    data = make_coco(tmp_path, **changes)

    def use_all() -> None:
        images = open_images(data, "all")
        for i in images.ids:
            images.read(i)
            open_masks(data, "all").read(i)

    complaint(use_all, "instances.json")


def test_coco_annotation_without_an_area_is_painted_all_the_same(tmp_path: Path) -> None:
    large, small = annotation(12, 3, rectangle(0, 0, 4, 4), 16), annotation(12, 17, rectangle(1, 1, 3, 3), 4)
    drawing = [[1, 1, 1, 1], [1, 2, 2, 1], [1, 2, 2, 1], [1, 1, 1, 1]]
    for number, pair in enumerate((
        [without(small, "area"), without(large, "area")],
        [small | {"area": 0}, large | {"area": 0}],
        [small | {"area": 0.0}, large | {"area": -1}],
    )):  # fmt: skip
        data = make_coco(tmp_path / str(number), pair)
        assert open_masks(data, "all").read("12")[:4, :4].tolist() == drawing


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


@pytest.mark.parametrize(
    "name",
    [
        "images/é.png",  # as Label Studio exports it
        "./images//é.png",
        "C:\\data\\images\\é.png",
        "/home/x/images/é.png",
        unicodedata.normalize("NFD", "é.png"),
    ],
)
@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_photos_are_found_by_the_names_of_another_machine(tmp_path: Path, name: str, form: str) -> None:
    data = make_coco(tmp_path, images=[{"id": -1, "file_name": name, "width": 8, "height": 6}], annotations=[
        annotation(-1, 3, rectangle(0, 0, 4, 4), 16)
    ])  # fmt: skip
    photo = tmp_path / "images" / unicodedata.normalize(form, "é.png")
    (tmp_path / "images/0012.png").rename(photo)
    images = open_images(data, "all")
    assert images.file_of("-1") == photo
    assert images.read("-1").size == (6, 8)
    assert images.folder_of("-1") in (tmp_path, tmp_path / "images")
    assert open_masks(data, "all").read("-1").unique().tolist() == [0, 1]


def test_a_photo_of_another_folder_is_not_taken_for_one_of_its_name(tmp_path: Path) -> None:
    listed = [{"id": 7, "file_name": "other/0007.png", "width": 8, "height": 6}]
    data = make_coco(tmp_path, [], images=listed)
    complaint(lambda: open_images(data, "all").read("7"), "other/0007.png")


def test_files_may_be_listed_by_their_whole_paths(tmp_path: Path) -> None:
    data = make_coco(tmp_path)
    file = tmp_path / "instances.json"
    content = json.loads(file.read_text())
    for picture in content["images"]:
        picture["file_name"] = str(tmp_path / "images" / picture["file_name"])
    file.write_text(json.dumps(content))
    images = open_images(data, "all")
    assert images.folder_of("12") == tmp_path / "images"
    check_apart(tmp_path / "images" / "out", images)  # what is listed is not looked for
