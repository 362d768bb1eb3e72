"""Each format: there and back to the pixel, and as its own definition says."""

import json
import unicodedata
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO
from test_polygons import blobs

import beyondcam as bc
from beyondcam.data import PALETTE, LabelledImages
from beyondcam.formats import FORMATS, Book, Labelled
from beyondcam.formats.brush import decode_brush, encode_brush
from conftest import complaint, make_folder

FACTS = {"Author": "eva", "Creation Time": "2026-11-27T10:00:00+00:00", "Comment": "corrected mask"}
FILES = {"coco": "instances.json", "label-studio": "tasks.json", "cvat": "annotations.xml"}


@pytest.fixture
def images(tmp_path: Path) -> LabelledImages:
    """Eight photos, one in a folder below, with a name that needs care."""
    folder = make_folder(tmp_path / "discs", 8)
    (folder / "images" / "more <&> ü").mkdir()
    (folder / "images" / "p07.png").rename(folder / "images" / "more <&> ü" / "p'7.x.png")
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("p07.png", "more <&> ü/p'7.x.png"))
    return bc.open_images(f"folder:{folder}", "all")


def masks_of(images: LabelledImages) -> dict[str, np.ndarray]:
    """Masks of one class, of both with holes and islands, and of none."""
    masks = {}
    for n, i in enumerate(images.ids):
        first, second = blobs(n, (48, 48)), blobs(n + 50, (48, 48))
        mask = np.where(second, 2, np.where(first, 1, 0)).astype(np.uint8)
        masks[i] = mask * (n != 3) if n else np.full_like(mask, 2)
    return masks


def write(form: str, images: LabelledImages, out: Path) -> dict[str, np.ndarray]:
    masks = masks_of(images)
    FORMATS[form].write((Labelled(i, mask, FACTS) for i, mask in masks.items()), Book(images), out)
    return masks


def read(form: str, images: LabelledImages, path: Path) -> dict[str, Any]:
    book = Book(images)
    return {book.find(entry.name): entry.paint() for entry in FORMATS[form].read(path, book)}


@pytest.mark.parametrize("form", FORMATS)
def test_masks_come_back_to_the_pixel(form: str, images: LabelledImages, tmp_path: Path) -> None:
    masks = write(form, images, tmp_path / "out")
    there = read(form, images, tmp_path / "out")
    assert there.keys() == masks.keys()
    for i, mask in masks.items():
        if not mask.any():
            assert there[i] is None  # no file tells what is background from what was not drawn yet
        else:
            assert there[i].dtype == np.uint8
            assert (there[i] == mask).all()
    if form in FILES:
        assert read(form, images, tmp_path / "out" / FILES[form]).keys() == masks.keys()


@pytest.mark.parametrize("name", ["labelmap.txt", "classes.txt"])
def test_values_of_pngs_are_those_of_the_list_beside_them(
    images: LabelledImages, tmp_path: Path, name: str
) -> None:
    masks = write("voc", images, tmp_path)
    (tmp_path / "classes.txt").unlink()
    turned = {"labelmap.txt": "# label\nbackground:0,0,0::\nred:1,1,1::\nblue:2,2,2::\n",
              "classes.txt": "red\nblue\n"}  # fmt: skip
    (tmp_path / name).write_text(turned[name])
    there = read("voc", images, tmp_path)
    assert (there["p01"] == np.array([0, 2, 1], np.uint8)[masks["p01"]]).all()


@pytest.mark.parametrize("mode", ["P", "RGB"])
def test_colours_of_a_labelmap_count(images: LabelledImages, tmp_path: Path, mode: str) -> None:
    """As CVAT and Datumaro write masks: in RGB, or as values whose order is their own."""
    values = np.array([[0, 1, 2, 3]], np.uint8)
    picture = Image.fromarray(values)
    picture.putpalette([0, 0, 0, 64, 0, 128, 10, 20, 30, 224, 224, 192])
    out = tmp_path / "out"
    out.mkdir()
    picture.convert(mode).save(out / "p01.png")
    (out / "labelmap.txt").write_text("background:0,0,0::\nred:10,20,30::\nblue:64,0,128::\n")
    assert images.classes == ("blue", "red")
    assert read("voc", images, out)["p01"].tolist() == [[0, 1, 2, 255]]
    (out / "labelmap.txt").write_text("background:0,0,0::\nred:9,9,9::\nblue:64,0,128::\n")
    (entry,) = FORMATS["voc"].read(out, Book(images))
    if mode == "RGB":
        complaint(entry.paint, "RGB")
    else:  # the values, then, of which there is a third
        complaint(entry.paint, "value 3 is none of the 2 classes")


@pytest.mark.parametrize("form", ["png", "voc"])
def test_void_comes_back_where_the_format_has_it(form: str, images: LabelledImages, tmp_path: Path) -> None:
    mask = np.full((48, 48), 255, np.uint8)
    mask[3:9] = 2
    FORMATS[form].write([Labelled("p01", mask, {})], Book(images), tmp_path / "out")
    assert (read(form, images, tmp_path / "out")["p01"] == mask).all()


@pytest.mark.parametrize("form", FORMATS)
def test_classes_are_known_by_their_names(form: str, images: LabelledImages, tmp_path: Path) -> None:
    """Written by somebody who has the classes the other way round."""
    turned = bc.open_images(images.data, "all", images.classes[::-1])
    masks = write(form, turned, tmp_path / "out")
    there = read(form, images, tmp_path / "out")
    assert (there["p01"] == np.array([0, 2, 1], np.uint8)[masks["p01"]]).all()
    others = bc.open_images(images.data, "all", images.classes[:1])
    for entry in FORMATS[form].read(tmp_path / "out", Book(others)):
        if entry.name.startswith(("p01", f"{others.split}/p01")):
            complaint(entry.paint, "is none of blue")


def test_png_and_voc_are_palette_pictures_and_lists(images: LabelledImages, tmp_path: Path) -> None:
    masks = write("voc", images, tmp_path / "voc")
    write("png", images, tmp_path / "png")
    for path in (tmp_path / "voc" / "SegmentationClass", tmp_path / "png" / "masks"):
        with Image.open(path / "p01.png") as picture:
            assert picture.mode == "P"
            assert picture.getpalette() == PALETTE
            assert (np.array(picture) == masks["p01"]).all()
            assert (picture.text["Author"], picture.text["Creation Time"]) == ("eva", FACTS["Creation Time"])
    listed = (tmp_path / "voc/ImageSets/Segmentation/all.txt").read_text().splitlines()
    assert listed == list(images.ids)
    assert (tmp_path / "voc/classes.txt").read_text() == "blue\nred\n"
    assert (tmp_path / "voc/labelmap.txt").read_text().splitlines()[1:] == [
        "background:0,0,0::", "blue:128,0,0::", "red:0,128,0::",
    ]  # fmt: skip
    # a data set that this package reads, too
    (tmp_path / "discs/images").rename(tmp_path / "voc/JPEGImages")
    again = bc.open_masks(f"voc:{tmp_path / 'voc'}", "all")
    assert again is not None
    assert (again.read("p01").numpy() == masks["p01"]).all()


def test_coco_is_read_by_pycocotools(images: LabelledImages, tmp_path: Path, capsys: Any) -> None:
    masks = write("coco", images, tmp_path / "out")
    coco = COCO(tmp_path / "out/instances.json")
    by_name = {picture["file_name"]: picture for picture in coco.dataset["images"]}
    assert by_name.keys() == {images.file_name(i) for i in images.ids}
    for i, mask in masks.items():
        picture = by_name[images.file_name(i)]
        assert (picture["height"], picture["width"], picture["Author"]) == (48, 48, "eva")
        found = np.zeros_like(mask)
        for annotation in coco.loadAnns(coco.getAnnIds(picture["id"])):
            own = coco.annToMask(annotation) > 0
            assert annotation["area"] == own.sum()
            found[own] = annotation["category_id"]
        assert (found == mask).all()
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["blue", "red"]


def test_polygons_of_coco_are_read(images: LabelledImages, tmp_path: Path) -> None:
    content = {
        "images": [{"id": 7, "file_name": "p01.png", "width": 48, "height": 48}],
        "categories": [{"id": 3, "name": "red"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 3, "segmentation": [[4, 4, 20, 4, 20, 12, 4, 12]]}
        ],
    }
    (tmp_path / "c.json").write_text(json.dumps(content))
    mask = read("coco", images, tmp_path / "c.json")["p01"]
    expected = np.zeros((48, 48), np.uint8)
    expected[4:12, 4:20] = 2
    assert ((mask > 0) & (expected > 0)).sum() / ((mask > 0) | (expected > 0)).sum() >= 0.98


def test_masks_of_coco_are_of_their_class_where_cvat_calls_them_crowds(
    images: LabelledImages, tmp_path: Path
) -> None:
    """As datumaro 1.13 writes a mask, and a polygon beside it, for CVAT."""
    runs = {"counts": [0, 48 * 4, 48 * 44], "size": [48, 48]}  # down the columns: the first four
    common = {"image_id": 1, "bbox": [0, 0, 1, 1]}
    content = {
        "images": [{"id": 1, "file_name": "p01.png", "width": 48, "height": 48, "license": 0}],
        "categories": [{"id": 1, "name": "blue"}, {"id": 2, "name": "red"}],
        "annotations": [
            common | {"id": 1, "category_id": 1, "segmentation": runs, "area": 192.0, "iscrowd": 1},
            common
            | {"id": 2, "category_id": 2, "segmentation": [[0, 0, 48, 0, 48, 48, 0, 48]]}
            | {"area": 2304.0, "iscrowd": 0},
        ],
    }
    (tmp_path / "c.json").write_text(json.dumps(content))
    expected = np.full((48, 48), 2, np.uint8)
    expected[:, :4] = 1  # smaller on larger
    assert (read("coco", images, tmp_path / "c.json")["p01"] == expected).all()


def test_what_follows_a_dot_is_a_suffix_only_where_photos_have_it(images: LabelledImages) -> None:
    book = Book(images)
    assert book.find("photos/p01.JPG") == book.find("p01.png") == book.find("p01") == "p01"
    assert book.find("p'7.x") == "more <&> ü/p'7.x"
    complaint(lambda: book.find("p01.v2"), "no photo of all")  # another photo, of another split


def test_yolo_is_shares_of_width_and_height(tmp_path: Path) -> None:
    (tmp_path / "d/images").mkdir(parents=True)
    Image.new("RGB", (40, 20)).save(tmp_path / "d/images/a.png")
    (tmp_path / "d/classes.txt").write_text("it's\n1\n")
    images = bc.open_images(f"folder:{tmp_path / 'd'}", "all", ("it's", "1"))
    mask = np.zeros((20, 40), np.uint8)
    mask[5:15, 10:30] = 2
    FORMATS["yolo-seg"].write([Labelled("a", mask, {})], Book(images), tmp_path / "out")
    number, *shares = (tmp_path / "out/labels/all/a.txt").read_text().split()
    assert number == "1"  # from 0
    corners = {tuple(corner) for corner in np.array(shares, float).reshape(-1, 2).tolist()}
    assert corners == {(0.25, 0.25), (0.75, 0.25), (0.75, 0.75), (0.25, 0.75)}
    assert (read("yolo-seg", images, tmp_path / "out")["a"] == mask).all()
    import yaml

    text = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert text["names"] == {0: "it's", 1: "1"}
    for names in ("names: [\"it's\", '1']", "names:\n- it's\n- '1'"):
        (tmp_path / "out/data.yaml").write_text(names)
        assert (read("yolo-seg", images, tmp_path / "out")["a"] == mask).all()
    (tmp_path / "out/classes.txt").write_text("background\n1\nit's\n")  # counted from its first line
    assert (read("yolo-seg", images, tmp_path / "out")["a"] == mask).all()


def brush_by_the_book(mask: np.ndarray) -> list[int]:
    """Label Studio's runs as the description of the format has them, one bit after the other."""
    flat = np.repeat(mask.ravel(), 4).astype(int) * 255
    bits = f"{len(flat):032b}" + f"{7:05b}" + "".join(f"{n - 1:04b}" for n in (3, 4, 8, 16))
    at = 0
    while at < len(flat):
        end = at
        while end < len(flat) and flat[end] == flat[at] and end - at < 8:
            end += 1
        repeated = end - at > 1
        bits += f"{int(repeated)}00{end - at - 1:03b}{flat[at]:08b}"
        at = end
    return [int(bits[n : n + 8].ljust(8, "0"), 2) for n in range(0, len(bits), 8)]


def unbrush_by_the_book(runs: list[int], size: tuple[int, int]) -> np.ndarray:
    bits, at = "".join(f"{byte:08b}" for byte in runs), 0

    def take(count: int) -> int:
        nonlocal at
        at += count
        return int(bits[at - count : at], 2)

    words, word = take(32), take(5) + 1
    sizes = [take(4) + 1 for _ in range(4)]
    out: list[int] = []
    while len(out) < words:
        repeated = take(1)
        count = take(sizes[take(2)]) + 1
        out += [take(word)] * count if repeated else [take(word) for _ in range(count)]
    return np.array(out).reshape(*size, 4)[..., 3] > 0


@pytest.mark.parametrize("mask", [blobs(1), ~blobs(2), np.zeros((3, 5), bool), np.ones((200, 300), bool)])
def test_the_brush_is_as_label_studio_describes_it(mask: np.ndarray) -> None:
    own = encode_brush(mask)
    assert (unbrush_by_the_book(own, mask.shape) == mask).all()
    assert (decode_brush(own, mask.shape) == mask).all()
    assert (decode_brush(brush_by_the_book(mask), mask.shape) == mask).all()


def test_a_brush_that_label_studios_own_converter_made_is_read() -> None:
    """`label_studio_sdk.converter.brush.encode_rle` of a 3 × 4 mask, of release 2.1.2."""
    mask = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]], bool)
    made = [0, 0, 0, 48, 57, 27, 252, 96, 19, 255, 219, 0, 183, 255, 108, 0]
    assert (decode_brush(made, (3, 4)) == mask).all()


def test_a_stroke_drawn_in_label_studio_is_read() -> None:
    """A dab of the brush in release 1.23.2: its edge is soft, and a pixel is of it from half on."""
    drawn = [
        0, 0, 2, 128, 57, 27, 254, 207, 0, 140, 178, 50, 88, 198, 49, 152, 4, 121, 17, 236, 71, 97, 140, 192,
        35, 211, 143, 146, 59, 220, 102, 1, 26, 148, 108, 177, 171, 110, 48, 0,
    ]  # fmt: skip
    expected = np.zeros((10, 16), bool)
    expected[4:6, 4:7] = True  # alpha 176 … 228; in the rows above and below 24 … 101
    assert (decode_brush(drawn, (10, 16)) == expected).all()


def test_words_that_are_not_repeated_are_read() -> None:
    bits = f"{8:032b}{7:05b}" + "".join(f"{n:04b}" for n in (2, 3, 7, 15))
    bits += "000" + "111" + "".join(f"{value:08b}" for value in (1, 2, 3, 0, 9, 9, 9, 200))
    runs = [int(bits[n : n + 8].ljust(8, "0"), 2) for n in range(0, len(bits), 8)]
    assert decode_brush(runs, (1, 2)).tolist() == [[False, True]]


def test_a_broken_brush_is_refused() -> None:
    whole = encode_brush(blobs(3))
    other = [*whole[:3], 9, *whole[4:]]
    for broken in (whole[:-2], whole[:9], [], [0] * 40, [255] * 40, other, [*whole, 300]):
        with pytest.raises(ValueError):  # noqa: PT011  (some are Python's own)
            decode_brush(broken, (40, 60))


def test_label_studio_has_annotations_of_humans_and_predictions_of_recipes(
    images: LabelledImages, tmp_path: Path
) -> None:
    mask = np.ones((48, 48), np.uint8)
    items = [Labelled("p01", mask, FACTS), Labelled("more <&> ü/p'7.x", mask, {})]
    FORMATS["label-studio"].write(items, Book(images), tmp_path / "out")
    human, recipe = json.loads((tmp_path / "out/tasks.json").read_text())
    assert human["data"]["Author"] == "eva"
    (result,) = human["annotations"][0]["result"]
    assert (result["original_width"], result["original_height"]) == (48, 48)
    assert (result["type"], result["value"]["brushlabels"]) == ("brushlabels", ["blue"])
    assert "annotations" not in recipe
    assert recipe["predictions"][0]["result"]
    place = "/data/local-files/?d=images/"  # from the folder on that the photos' folder lies in
    assert [task["data"]["image"] for task in (human, recipe)] == [
        f"{place}p01.png", f"{place}more%20%3C%26%3E%20%C3%BC/p%277.x.png",
    ]  # fmt: skip
    config = ET.parse(tmp_path / "out/config.xml").getroot()
    labels = [(label.get("value"), label.get("background")) for label in config.iter("Label")]
    assert labels == [("blue", "#800000"), ("red", "#008000")]  # as masks are shown
    assert config.find("BrushLabels").get("name") == result["from_name"]
    assert config.find("Image").get("name") == result["to_name"]
    # what comes back is what was annotated; predictions are nobody's
    assert read("label-studio", images, tmp_path / "out")["more <&> ü/p'7.x"] is None


def test_uploads_polygons_and_the_last_annotation_of_label_studio_are_read(
    images: LabelledImages, tmp_path: Path
) -> None:
    def drawn(points: list[list[float]], label: str) -> dict[str, Any]:
        value = {"points": points, "polygonlabels": [label]}
        return {"type": "polygonlabels", "value": value, "original_width": 48, "original_height": 48}

    square = [[25, 0], [75, 0], [75, 50], [25, 50]]  # percent
    task = {
        "id": 4,
        "data": {"picture": "/data/upload/1/0badcafe-p01.png"},
        "annotations": [
            {"was_cancelled": False, "result": []},
            {"was_cancelled": False, "result": [{"type": "choices"}, drawn(square, "red")]},
            {"was_cancelled": True, "result": [drawn(square, "blue")]},
        ],
    }
    renamed = task | {"data": {"picture": "/data/upload/1/0badcafe-p7.x.png"}}
    (tmp_path / "t.json").write_text(json.dumps([task, renamed]))
    expected = np.zeros((48, 48), np.uint8)
    expected[:24, 12:36] = 2
    there = read("label-studio", images, tmp_path / "t.json")
    assert there.keys() == {"p01", "more <&> ü/p'7.x"}
    assert all((mask == expected).all() for mask in there.values())


def test_cvat_has_runs_in_boxes_from_outside_on(images: LabelledImages, tmp_path: Path) -> None:
    mask = np.zeros((48, 48), np.uint8)
    mask[2, 3:6] = mask[3, 4] = 1
    mask[10:12, 20:22] = 2
    FORMATS["cvat"].write([Labelled("p01", mask, FACTS)], Book(images), tmp_path / "out")
    root = ET.parse(tmp_path / "out/annotations.xml").getroot()
    assert root.findtext("version") == "1.1"
    assert [name.text for name in root.findall("meta/task/labels/label/name")] == ["blue", "red"]
    (image,) = root.findall("image")
    assert image.attrib == {
        "id": "0", "name": "p01.png", "width": "48", "height": "48", "author": "eva",
        "creation_time": FACTS["Creation Time"], "comment": "corrected mask",
    }  # fmt: skip
    first, second = image.findall("mask")
    box = {"left": "3", "top": "2", "width": "3", "height": "2"}
    common = {"source": "manual", "occluded": "0", "z_order": "0"}
    assert first.attrib == {"label": "blue", "rle": "0, 3, 1, 1, 1"} | box | common  # 111 / 010
    assert (second.get("rle"), second.get("label")) == ("0, 4", "red")


def test_polygons_and_the_order_of_cvat_are_read(images: LabelledImages, tmp_path: Path) -> None:
    (tmp_path / "c.xml").write_text(
        '<annotations><version>1.1</version><image id="0" name="deep/er/p01.png" width="48" height="48">'
        '<mask label="red" rle="0, 4" left="0" top="0" width="2" height="2" z_order="1"/>'
        '<polygon label="blue" points="0.00,0.00;24.00,0.00;24.00,12.00;0.00,12.00" z_order="0"/>'
        '<tag label="red"/></image><image id="1" name="p02.png" width="48" height="48"/></annotations>'
    )
    expected = np.zeros((48, 48), np.uint8)
    expected[:12, :24] = 1
    expected[:2, :2] = 2
    found = read("cvat", images, tmp_path / "c.xml")
    assert (found["p01"] == expected).all()
    assert found["p02"] is None


def test_photos_are_found_by_the_names_that_programs_give_them(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/1.jpg", "b/2.x.jpg", "3.png"):
        path = tmp_path / "d/images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    book = Book(bc.open_images(f"folder:{tmp_path / 'd'}", "all", ("x",)))
    for name in ("a/1.jpg", "a/1", "a\\1.png", "./a/1.jpg", "/mnt/photos/a/1.jpg"):
        assert book.find(name) == "a/1"
    for name in ("2.x", "2.x.png", "b/2.x", "x/y/b/2.x.jpg"):
        assert book.find(name) == "b/2.x"
    assert book.find("3.jpg") == "3"
    for form, name in (("NFD", "é/4.jpg"), ("NFC", "é/5.jpg")):
        path = tmp_path / "d/images" / unicodedata.normalize(form, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path)
    accents = Book(bc.open_images(f"folder:{tmp_path / 'd'}", "all", ("x",)))
    apart = unicodedata.normalize("NFD", "é/4.jpg")
    listed = Book(replace(accents.images, ids=("7",), file_name=lambda _: apart))
    for form in ("NFC", "NFD"):
        for number in "45":
            assert accents.find(unicodedata.normalize(form, f"é/{number}.png")) == f"é/{number}"
        assert listed.find(unicodedata.normalize(form, "é/4.png")) == "7"
    complaint(lambda: book.find("1.jpg"), "a/1 or b/1")
    for name in ("", "..", "../3x", "/", "4.png", ".", "a/2.x.jpg"):  # the last is of another folder
        complaint(lambda name=name: book.find(name), "no photo of all")


def test_a_number_is_the_photo_called_so_before_the_one_of_this_id() -> None:
    """As in a COCO file that numbers photos in the order of their names: 1.jpg, 10.jpg, 2.jpg."""
    names = {"1": "1.jpg", "2": "10.jpg", "3": "2.jpg", "4": "x.jpg"}
    images = LabelledImages(
        data="d", split="all", classes=("cat",), ids=tuple(names), labels={}, file_name=names.__getitem__,
        read=lambda _: bc.Photo.of(torch.zeros(3, 4, 4, dtype=torch.uint8)),
    )  # fmt: skip
    book = Book(images)
    assert [book.find(name) for name in ("1", "10.png", "2.png", "2", "x", "4")] == list("123344")
    assert [book.stem(i) for i in names] == ["1", "10", "2", "x"]


@pytest.mark.parametrize(
    ("form", "folder"), [("png", "masks"), ("voc", "SegmentationClass"), ("yolo-seg", "labels/all")]
)
def test_files_are_called_as_their_photos(form: str, folder: str, tmp_path: Path) -> None:
    """COCO's ids are numbers. They stay of photos that are called alike, and of bytes that are no text.

    The first id is the name of another photo, so that its file is called by its whole name.
    """
    names = {
        "IMG_0003": "a/y.jpg",
        "3": "a/y.png",
        "4": "IMG_0003.jpg",
        "5": "more/e\u0301.png",
        "6": "x.jpg",
        "7": "x.png",
        "caf%E9": "caf\udce9.jpg",
    }
    images = LabelledImages(
        data="d", split="all", classes=("cat",), ids=tuple(names), labels={}, file_name=names.__getitem__,
        read=lambda _: bc.Photo.of(torch.zeros(3, 4, 4, dtype=torch.uint8)),
    )  # fmt: skip
    book, masks = Book(images), {i: np.full((4, 4), n % 2, np.uint8) for n, i in enumerate(names)}
    FORMATS[form].write((Labelled(i, mask, {}) for i, mask in masks.items()), book, tmp_path)
    root = tmp_path / folder
    written = {path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.*")}
    assert written == {"a/y.jpg", "more/e\u0301", "3", "IMG_0003", "6", "7", "caf%E9"}
    there = {book.find(entry.name): entry.paint() for entry in FORMATS[form].read(tmp_path, book)}
    assert [there[i] is not None for i in names] == [bool(mask.any()) for mask in masks.values()]
    assert there.keys() == masks.keys()
    assert all((there[i] == mask).all() for i, mask in masks.items() if mask.any())


def test_a_name_that_is_no_text_is_quoted_for_cvat(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "caf\udce9.png")
    (tmp_path / "labels.csv").write_bytes(b"image,labels\ncaf%E9.png,cat\n")
    images = bc.open_images(f"folder:{tmp_path}", "all")
    FORMATS["cvat"].write(
        [Labelled(images.ids[0], np.eye(4, dtype=np.uint8), {})], Book(images), tmp_path / "out"
    )
    assert (read("cvat", images, tmp_path / "out")[images.ids[0]] == np.eye(4)).all()


def test_names_of_classes_leave_the_fields_of_a_labelmap_apart(tmp_path: Path) -> None:
    images = LabelledImages("d", "all", ("crack: deep", "#1"), (), {}, lambda _: None)  # type: ignore[arg-type,return-value]
    FORMATS["voc"].write([], Book(images), tmp_path)
    lines = (tmp_path / "labelmap.txt").read_text().splitlines()[2:]
    assert [line.split(":")[0] for line in lines] == ["crack  deep", "1"]
    assert all(len(line.split(":")) == 4 for line in lines)
    assert (tmp_path / "classes.txt").read_text() == "crack: deep\n#1\n"


def test_what_label_studio_says_of_a_region_beside_its_label_is_passed_over(
    images: LabelledImages, tmp_path: Path
) -> None:
    masks = write("label-studio", images, tmp_path / "out")
    tasks = json.loads((tmp_path / "out/tasks.json").read_text())
    drawn = next(task for task in tasks if task["annotations"])
    region = drawn["annotations"][0]["result"][0]
    size = {key: region[key] for key in ("original_width", "original_height")}
    drawn["annotations"][0]["result"].append({**size, "type": "choices", "value": {"choices": ["sure"]}})
    (tmp_path / "out/tasks.json").write_text(json.dumps(tasks))
    there = read("label-studio", images, tmp_path / "out")
    assert all((there[i] == mask).all() for i, mask in masks.items() if mask.any())
    region["value"]["brushlabels"] = ["blue", "red"]
    (tmp_path / "out/tasks.json").write_text(json.dumps(tasks))
    with pytest.raises(ValueError, match="a region has 2 labels"):
        read("label-studio", images, tmp_path / "out")


def test_a_file_of_coco_may_have_more_categories_than_a_mask_has_values(
    images: LabelledImages, tmp_path: Path
) -> None:
    content = {
        "images": [{"id": 1, "file_name": "p01.png", "width": 48, "height": 48}],
        "categories": [{"id": k, "name": "red" if k == 300 else f"c{k}"} for k in range(1, 301)],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 300, "iscrowd": 0, "area": 16, "bbox": [0, 0, 4, 4],
             "segmentation": [[0, 0, 4, 0, 4, 4, 0, 4]]},
        ],
    }  # fmt: skip
    (tmp_path / "instances.json").write_text(json.dumps(content))
    mask = read("coco", images, tmp_path)["p01"]
    assert set(np.unique(mask)) == {0, 2}
    assert (mask == 2).sum() == 16


def test_what_a_task_of_label_studio_says_beside_its_image_names_no_photo(
    images: LabelledImages, tmp_path: Path
) -> None:
    shape = {"original_width": 48, "original_height": 48, "type": "polygonlabels",
             "value": {"points": [[0, 0], [50, 0], [50, 50]], "polygonlabels": ["red"]}}  # fmt: skip
    tasks = [
        {"data": {"image": name, "Author": "p01"}, "annotations": [{"result": [shape]}]}
        for name in ("unknown.jpg", "s3://[bucket/x.jpg", "p02.png")
    ]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    names = [entry.name for entry in FORMATS["label-studio"].read(tmp_path, Book(images))]
    assert names == ["unknown.jpg", "s3://[bucket/x.jpg", "p02.png"]
