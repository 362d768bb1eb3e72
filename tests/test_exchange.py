"""Masks out and in again, by the library and the real commands."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shelves import shelf_of

from beyondcam.cli.options import open_images_of
from beyondcam.data import LabelledImages, open_images
from beyondcam.data.mask_file import read_mask
from beyondcam.evidence import Shelf, Threshold, find_shelf
from beyondcam.exchange import export_masks, import_masks
from beyondcam.formats import FORMATS, Book, Labelled
from beyondcam.reviews import Reviews, open_reviews
from beyondcam.reviews.sent import Sent
from beyondcam.seeds import seed_labels
from conftest import call, complaint, recipe_options

HALF = Threshold(0.3)
MASK = np.zeros((48, 48), np.uint8)
MASK[4:30, 8:20] = 2
MASK[10:14, 10:14] = 1


@pytest.fixture
def parts(discs: str, tmp_path: Path) -> tuple[LabelledImages, Shelf, Reviews]:
    """Evidence of three photos; one mask accepted, one corrected, one rejected."""
    levels = np.full((48, 48), 200)
    levels[:20] = 50
    _, images = shelf_of(discs, tmp_path / "run", dict.fromkeys(("p01", "p05"), levels))
    reviews = open_reviews(tmp_path / "run", images)
    reviews.decide("p00", "corrected", "Bo", mask=MASK)
    reviews.decide("p04", "accepted", "Åsa", mask=MASK[::-1].copy())
    reviews.decide("p05", "rejected", "Åsa")
    return images, find_shelf(tmp_path / "run", images, "own"), reviews


@pytest.mark.parametrize("form", FORMATS)
def test_what_goes_out_comes_in_as_corrected(
    form: str, parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path
) -> None:
    images, shelf, reviews = parts
    outcome = export_masks(images, shelf, HALF, reviews, form, tmp_path / "out")
    assert outcome.results == {"p00": "corrected", "p01": "open", "p04": "accepted", "p05": "rejected"}
    assert set(outcome.left_out) == set(images.ids) - outcome.results.keys()  # they are not mapped
    rows = list(csv.DictReader((tmp_path / "out/masks.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["image"], row["state"], row["who"]) for row in rows] == [
        ("p00", "corrected", "Bo"),
        ("p01", "open", ""),
        ("p04", "accepted", "Åsa"),
        ("p05", "rejected", "Åsa"),
    ]
    assert rows[0]["when"] == reviews.current()["p00"].when.isoformat()
    into = open_reviews(tmp_path / "another run", images)
    taken = import_masks(images, into, form, tmp_path / "out", "eva")
    drawn = {"p00", "p04"} if form == "label-studio" else {"p00", "p01", "p04", "p05"}
    current = into.current()  # nobody annotated what a recipe predicts
    assert current.keys() == drawn
    assert {d.state for d in current.values()} == {"corrected"}
    assert {d.who for d in current.values()} == {"eva"}
    assert not taken.left_out
    assert (into.read(current["p00"]) == MASK).all()
    assert (into.read(current["p04"]) == MASK[::-1]).all()
    if "p01" in drawn:
        assert (into.read(current["p01"]) == seed_labels(shelf.read("p01"), HALF)).all()


def test_masks_that_come_back_unchanged_stay_whose_they_are(
    parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path
) -> None:
    images, shelf, reviews = parts
    states = ("accepted", "corrected")
    assert set(export_masks(images, shelf, HALF, reviews, "cvat", tmp_path / "o", states).results) == {
        "p00",
        "p04",
    }
    path = tmp_path / "o/annotations.xml"
    path.write_text(path.read_text().replace('label="blue"', 'label="red"', 1))  # in p00
    taken = import_masks(images, reviews, "cvat", path, "eva")
    assert taken.results == {"p00.png": "corrected", "p04.png": "unchanged"}
    current = reviews.current()
    assert (current["p00"].who, current["p04"].who, current["p04"].state) == ("eva", "Åsa", "accepted")
    assert (reviews.read(current["p00"]) == np.where(MASK == 1, 2, MASK)).all()


def test_masks_are_found_whatever_the_case_of_their_suffix_and_none_is_no_success(
    parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path
) -> None:
    images, _, reviews = parts
    drawn = tmp_path / "drawn" / "masks"
    drawn.mkdir(parents=True)
    (drawn.parent / "data.yaml").write_text("names: [blue, red]")
    for form in ("png", "voc", "yolo-seg"):
        complaint(lambda form=form: import_masks(images, reviews, form, drawn.parent, "eva"), "no mask, as")
    Image.fromarray(MASK.T.copy()).save(drawn / "p01.PNG")
    (drawn / "._p01.PNG").write_bytes(b"what a Mac keeps for itself")
    assert import_masks(images, reviews, "png", drawn.parent, "eva").results == {"p01.PNG": "corrected"}


def test_half_an_export_stands_in_nobodys_way(
    parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, shelf, reviews = parts
    with monkeypatch.context() as patched:
        patched.setattr(
            "beyondcam.exchange.write_csv", lambda *_: (tmp_path / "full" / "disk").write_text("")
        )
        with pytest.raises(FileNotFoundError):
            export_masks(images, shelf, HALF, reviews, "png", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert export_masks(images, shelf, HALF, reviews, "png", tmp_path / "out").results


@pytest.mark.parametrize("form", FORMATS)
def test_void_that_a_format_lacks_is_no_correction(
    form: str, parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path
) -> None:
    images, shelf, reviews = parts
    with_void = MASK.copy()
    with_void[40:] = 255
    reviews.decide("p00", "corrected", "Bo", mask=with_void)
    export_masks(images, shelf, HALF, reviews, form, tmp_path / "o", ("corrected",))
    taken = import_masks(images, reviews, form, tmp_path / "o", "eva")
    assert list(taken.results.values()) == ["unchanged"]
    assert (reviews.read(reviews.current()["p00"]) == with_void).all()


def test_photos_without_a_shape_are_background_where_that_is_said(
    parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path
) -> None:
    images, _, reviews = parts
    image = '<image id="0" name="{}.png" width="48" height="48"></image>'
    (tmp_path / "a.xml").write_text(f"<annotations>{image.format('p01')}{image.format('p00')}</annotations>")
    taken = import_masks(images, reviews, "cvat", tmp_path / "a.xml", "eva")
    assert taken.results == {"p01.png": "empty", "p00.png": "empty"}
    assert (reviews.read(reviews.current()["p00"]) == MASK).all()
    import_masks(images, reviews, "cvat", tmp_path / "a.xml", "eva", empty=True)
    for i in ("p00", "p01"):
        assert not reviews.read(reviews.current()[i]).any()


def test_one_photo_that_cannot_be_taken_never_stops_the_others(
    parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path
) -> None:
    images, _, reviews = parts
    good = '<polygon label="red" points="0,0;9,0;9,9" z_order="0"/>'
    image = '<image id="0" name="{}" width="{}" height="48">{}</image>'
    bad = {
        "p01.png": ("48", '<mask label="red" rle="1, 2" left="0" top="0" width="9" height="9"/>', "runs"),
        "p02.png": ("48", good.replace("red", "cat"), "class 'cat' is none of blue, red"),
        "p03.png": ("47", good, "47×48 in the file, 48×48 as a photo"),
        "p04.png": ("48", '<box label="red" xtl="0" ytl="0" xbr="9" ybr="9"/>', "a box is neither"),
        "p05.png": ("48", '<polygon label="red" points="0,0;9"/>', "not readable as masks of cvat"),
        "p06.png": (
            "48",
            '<mask label="red" rle="4" left="47" top="0" width="2" height="2"/>',
            "leaves the photo",
        ),
        "../run/config": ("48", good, "no photo of all"),
    }
    text = "".join(image.format(name, width, shapes) for name, (width, shapes, _) in bad.items())
    text += image.format("p07.png", "48", good) * 2
    (tmp_path / "a.xml").write_text(f"<annotations>{text}</annotations>")
    taken = import_masks(images, reviews, "cvat", tmp_path / "a.xml", "eva")
    assert taken.left_out.keys() == {*bad, "p07.png"}
    for name, (_, _, why) in bad.items():
        assert why in taken.left_out[name]
        assert taken.left_out[name].isprintable()
    assert "is there twice" in taken.left_out["p07.png"]
    assert {i for i, d in reviews.current().items() if d.who == "eva"} == {"p07"}


def test_of_a_photo_that_is_there_twice_the_first_mask_is_taken(
    parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path
) -> None:
    """A task that nobody has worked on, or whose shapes are no masks, is none."""
    images, _, reviews = parts
    kind = ("rectanglelabels", "polygonlabels", "polygonlabels")
    value = {"points": [[0, 0], [50, 0], [50, 50]]}
    shapes = [
        {"type": k, "original_width": 48, "original_height": 48, "value": {**value, k: [name]}}
        for k, name in zip(kind, ("red", "red", "blue"), strict=True)
    ]
    results = [[], *([shape] for shape in shapes)]
    tasks = [{"data": {"image": "p01.png"}, "annotations": [{"result": result}]} for result in results]
    (tmp_path / "tasks.json").write_text(json.dumps(tasks))
    taken = import_masks(images, reviews, "label-studio", tmp_path / "tasks.json", "eva")
    assert "is there twice" in taken.left_out["p01.png"]
    assert set(np.unique(reviews.read(reviews.current()["p01"]))) == {0, 2}  # red, of the first that is one


def test_a_mask_that_cannot_be_taken_is_no_first_one_and_void_alone_is_none(
    parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path
) -> None:
    images, _, reviews = parts
    for name, size, value in (("a/p01", 40, 1), ("b/p01", 48, 1), ("p02", 48, 255)):
        (tmp_path / "out" / name).parent.mkdir(parents=True, exist_ok=True)
        mask = np.zeros((size, size), np.uint8)
        mask[:9] = value
        Image.fromarray(mask).save(tmp_path / "out" / f"{name}.png")
    taken = import_masks(images, reviews, "png", tmp_path / "out", "eva")
    assert taken.results == {"b/p01.png": "corrected"}
    assert "were they made of another" in taken.left_out["a/p01.png"]
    assert "no class but 255" in taken.left_out["p02.png"]


def test_masks_of_a_coco_file_go_to_their_photos_however_it_writes_their_names(tmp_path: Path) -> None:
    """Photos are numbered, and so are ids, in another order: 10.jpg is 2, 2.jpg is 3."""
    names = {1: "1.jpg", 2: "images\\10.jpg", 3: "/home/eva/images/2.jpg", 4: "./3.jpg", 5: "../images/5.jpg"}
    folder = tmp_path / "images"
    folder.mkdir()
    for number in (1, 10, 2, 3, 5):
        Image.new("RGB", (8, 8)).save(folder / f"{number}.jpg")
    pictures = [{"id": i, "file_name": name, "width": 8, "height": 8} for i, name in names.items()]
    box = [{"id": i, "image_id": i, "category_id": 1, "bbox": [0, 0, 4, 4], "area": 16} for i in names]
    content = {"images": pictures, "annotations": box, "categories": [{"id": 1, "name": "cat"}]}
    (tmp_path / "instances.json").write_text(json.dumps(content))
    images = open_images(f"coco:{folder}:{tmp_path / 'instances.json'}", "all")
    mask = np.zeros((8, 8), np.uint8)
    mask[2:5] = 1
    for form in FORMATS:
        reviews, out = open_reviews(tmp_path / form, images), tmp_path / form / "out"
        for image_id in ("2", "3", "4", "5"):
            FORMATS[form].write([Labelled(image_id, mask, {"Author": "eva"})], Book(images), out / image_id)
            taken = import_masks(images, reviews, form, out / image_id, "eva")
            assert not taken.left_out
        assert [*reviews.current()] == ["2", "3", "4", "5"]


def test_seeds_that_come_back_as_they_went_out_are_nobodys(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: object) -> str:
        assert call(*words) == 0
        return capsys.readouterr().err

    out, png = tmp_path / "out", ("--from", "png", "--who", "eva")
    said("map", run, *recipe_options("cam"), "--no-witnesses")
    said("export", run, "--to", "png", "--out", out, "--threshold", "0.2")
    mended = out / "masks" / "p05.png"
    mask = read_mask(mended).numpy()
    mask[:3] = np.where(mask[:3] == 1, 2, 1)
    Image.fromarray(mask).save(mended)
    told = said("import-masks", run, out, *png)
    assert "1 corrected masks in" in told
    assert "17 unchanged ones, and 6 photos without a shape" in told
    images = open_images_of(run, None, None, None)
    current = open_reviews(run, images).current()
    assert {(i, d.state) for i, d in current.items()} == {("p05", "corrected")}
    assert "18 unchanged ones" in said("import-masks", run, out, *png)
    before = open_reviews(run, images).current()
    call("map", run, *recipe_options("saliency"), "--no-witnesses")  # no matter what else was made since
    said("seed", run, "--recipe", "saliency", "--out", tmp_path / "seeds")
    assert "18 unchanged ones" in said("import-masks", run, out, *png)
    assert "0 corrected masks in" in said("import-masks", run, tmp_path / "seeds", *png)
    assert open_reviews(run, images).current() == before


def test_what_was_sent_is_known_after_a_full_disk_cut_a_line(tmp_path: Path) -> None:
    Sent(tmp_path, ["a"]).add(["0123456789"])
    with (tmp_path / "reviews" / "sent.txt").open("a") as file:
        file.write("abcd")
    Sent(tmp_path, ["a"]).add(["fedcba9876", "0123456789"])
    assert Sent(tmp_path, ["a"]).known == {"0123456789", "fedcba9876"}


def test_where_no_masks_were_written_all_are_corrected_and_that_is_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "drawn").mkdir()
    Image.fromarray(MASK).save(tmp_path / "drawn" / "p01.png")
    call("import-masks", run, tmp_path / "drawn", "--from", "png", "--who", "eva")
    said = capsys.readouterr().err
    assert "were written before: all that the file has count as corrected" in said
    assert "1 corrected masks in" in said


@pytest.mark.parametrize(
    ("form", "name", "content", "named"),
    [
        ("cvat", "a.xml", "<annotations><track/></annotations>", "CVAT for images 1.1"),
        ("cvat", "a.xml", "<x", "not readable as XML"),
        ("cvat", "a.xml", None, "no such XML"),
        ("coco", "a.json", "{}", "images, annotations and categories"),
        ("label-studio", "a.json", "{}", "choose 'JSON'"),
        ("label-studio", "a.json", '[{"image": "x"}]', "choose 'JSON'"),
        ("png", "a", None, "no such folder"),
        ("voc", "a.png", "x", "no such folder"),
        ("yolo-seg", "a", None, "no such folder"),
        ("yolo-seg", "y/data.yaml", "names: 3", "lists no names"),
        ("yolo-seg", "y/data.yaml", "&a [*a", "not readable as YAML"),
        ("yolo-seg", "y/labels/p01.txt", "0 1 1 0 0 1 0", "no such YAML"),
    ],
)
def test_a_file_that_is_none_is_named_in_one_line(
    form: str, name: str, content: str | None, named: str,
    parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path,
) -> None:  # fmt: skip
    images, _, reviews = parts
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True, parents=True)
    if content is not None:
        path.write_text(content)
    file = tmp_path / name.split("/", maxsplit=1)[0]
    complaint(lambda: import_masks(images, reviews, form, file, "eva"), str(file), named)


def test_a_folder_that_is_not_empty_is_not_written_to(
    parts: tuple[LabelledImages, Shelf, Reviews], tmp_path: Path
) -> None:
    images, shelf, reviews = parts
    (tmp_path / "out").mkdir()
    (tmp_path / "out/masks.csv").write_text("mine")
    complaint(
        lambda: export_masks(images, shelf, HALF, reviews, "png", tmp_path / "out"), "out: ", "not empty"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["masks.csv"]
    wrong = ("accepted", "wrong")
    complaint(
        lambda: export_masks(images, shelf, HALF, reviews, "png", tmp_path / "o", wrong), "states: wrong"
    )


def test_the_commands_take_masks_out_and_in_and_seed_keeps_them(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*words: object) -> str:
        assert call(*words) == 0
        return capsys.readouterr().err

    said("map", run, "--split", "all", *recipe_options("cam"), "--no-witnesses")
    assert "24 masks in" in said("export", run, "--to", "coco", "--out", tmp_path / "out")
    path = tmp_path / "out/instances.json"
    content = json.loads(path.read_text())
    (mended,) = (picture["id"] for picture in content["images"] if picture["file_name"] == "p02.png")
    content["images"] = [picture for picture in content["images"] if picture["id"] == mended]
    square = {"size": [48, 48], "counts": [48 * 10, 48 * 5, 48 * 33]}
    content["annotations"] = [{"id": 1, "image_id": mended, "category_id": 2, "segmentation": square}]
    path.write_text(json.dumps(content))
    assert "1 corrected masks in" in said("import-masks", run, path, "--from", "coco", "--who", "eva")
    seed = ("seed", run, "--split", "all", "--recipe", "cam", "--out", tmp_path / "seeds")
    for _ in range(2):
        assert "1 masks are a human's, not of cam: 1 corrected" in said(*seed)
        expected = np.zeros((48, 48), np.uint8)
        expected[:, 10:15] = 2
        assert (read_mask(tmp_path / "seeds/masks/p02.png").numpy() == expected).all()
    with Image.open(tmp_path / "seeds/masks/p02.png") as picture:
        assert picture.text["Author"] == "eva"
    one = ("export", run, "--to", "png", "--out", tmp_path / "one", "--states", "corrected")
    said(*one)
    assert [path.name for path in (tmp_path / "one/masks").iterdir()] == ["p02.png"]
    complaint(lambda: call(*one), "--out: ", "not empty")
    again = said("import-masks", run, tmp_path / "one", "--from", "png", "--who", "bo")
    assert "0 corrected masks in" in again
    assert "1 unchanged ones" in again
    complaint(lambda: call("import-masks", run, tmp_path / "none", "--from", "voc"), "no such folder")
