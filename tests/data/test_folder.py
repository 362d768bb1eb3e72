"""Folders of photos with a table of labels, and their masks."""

import hashlib
import itertools
import shutil
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from builders import make_folder, present, refusal
from PIL import Image

from beyondcam.data import open_images
from beyondcam.data.masks import open_masks
from beyondcam.data.source import hash_split
from conftest import complaint


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
    assert "; 1 of its photos are not there, such as ghost" in images.form


def test_names_without_a_folder_are_found_in_folders_where_one_photo_alone_has_them(tmp_path: Path) -> None:
    for name in ("cat/a.png", "cat/b.png", "dog/b.png"):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (3, 2)).save(tmp_path / "images" / name)
    (tmp_path / "labels.csv").write_text("image,labels\na.png,cat\nb.png,dog\nx/a.png,dog\n")
    images = open_images(f"folder:{tmp_path}", "all")
    assert present(images, "cat/a") == {"cat"}
    assert images.ids == ("b", "cat/a", "cat/b", "dog/b", "x/a")  # which b is not told, and x/a is another
    assert set(images.labels) == {"b", "cat/a", "x/a"}


def test_photos_that_are_not_read_are_counted(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\na.png,cat\n")
    for name in ("1.HEIC", "2.heic", "3.avif"):
        (tmp_path / "images" / name).touch()
    assert open_images(data, "all").form.endswith("; 1 .avif, 2 .heic not read (save them as JPEG)")


def test_a_table_of_which_no_row_can_be_used_says_why(tmp_path: Path) -> None:
    data = make_folder(tmp_path, "image,labels\n../a.png,cat\n")
    complaint(lambda: open_images(data, "all"), "labels.csv, line 2", "leads out")


def test_dots_in_a_name_are_no_way_out(tmp_path: Path) -> None:
    images = open_images(
        make_folder(tmp_path, "image,labels\nimages/a..1.png,cat\n", names="a..1.png"), "all"
    )
    assert images.labels == {"a..1": {0}}


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("image,labels\na.png,cat\nb,cat\na.jpg,dog\n", ["line 4", "a.jpg", "twice"]),
        ("image,labels,note\na,cat,dog,x\n", ["line 2", ";"]),
        ("image,labels\na\n", ["line 2"]),
        ("animal,legs\na,cat\n", ["image,labels"]),
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


@pytest.mark.parametrize(
    ("name", "encoding"), [("кошка", "cp1251"), ("狗", "gbk"), ("dziób żółwia", "cp1250")]
)
def test_folder_table_in_an_encoding_that_cannot_be_told_is_one_line(
    tmp_path: Path, name: str, encoding: str
) -> None:
    data = make_folder(tmp_path, "")
    (tmp_path / "labels.csv").write_bytes(f"image,labels\na,{name}\n".encode(encoding))
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


def test_folder_photos_may_differ_in_case_alone(tmp_path: Path) -> None:
    table = "image,labels\nIMG.png,cat\nimg.png,dog\nOTHER.png,dog\n"
    data = make_folder(tmp_path, table, names="IMG.png img.png other.png")
    if not (tmp_path / "images" / "img.png").samefile(tmp_path / "images" / "IMG.png"):
        assert open_images(data, "all").labels == {"IMG": {0}, "img": {1}, "other": {1}}


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


def test_folder_splits_are_told_by_the_photos_that_are_there(tmp_path: Path) -> None:
    """Rows of photos that are not there, or of none, would else have the photos of val/ trained on."""
    rows = "".join(f"{split}/{n}.png,cat\n" for split in ("train", "val") for n in range(9))
    data = make_folder(tmp_path, f"image,labels\n{rows}gone.png,cat\ntrain/gone.png,cat\n../out.png,cat\n")
    for split in ("train", "val"):
        (tmp_path / "images" / split).mkdir()
        for n in range(9):
            Image.new("RGB", (3, 2)).save(tmp_path / "images" / split / f"{n}.png")
    complaint(lambda: open_images(data, "all"), "folders for train and val, but a lies in none of them")
    for name in "abc":
        (tmp_path / "images" / f"{name}.png").unlink()
    assert open_images(data, "val").ids == tuple(f"val/{n}" for n in range(9))
    assert open_images(data, "train").ids == (*(f"train/{n}" for n in range(9)), "train/gone")
    everything = open_images(data, "all")
    assert {"gone", "../out"} < {*everything.ids}
    assert everything.taken_for(data).endswith("train and val taken together, unless one is named (split)")
    (tmp_path / "masks").mkdir()
    (tmp_path / "classes.txt").write_text("cat\n")
    assert open_masks(data, "val").classes == ("cat",)
    complaint(lambda: open_masks(data, "test"), "the split test is empty; there are train, val and all")


def test_folder_with_an_empty_split_is_one_line(tmp_path: Path) -> None:
    name = next(f"x{n}" for n in itertools.count() if hash_split([f"x{n}"], "train", ""))
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
    complaint(lambda: open_images(data, "all"), "classes: ", "background")


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
