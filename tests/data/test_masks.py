"""Masks in files: how they number the classes, and that nobody reaches them but by their own module."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import make_folder
from PIL import Image

from beyondcam.data import open_images
from beyondcam.data.masks import open_masks
from conftest import complaint


def with_masks(
    root: Path, table: str, values: dict[str, int], *, suffix: str = ".png", **options: str
) -> str:
    data = make_folder(root, table, **options)
    (root / "masks").mkdir()
    for name, value in values.items():
        mask = np.zeros((2, 3), np.uint8)
        mask[0, 1:] = value
        Image.fromarray(mask).save(root / "masks" / f"{name}{suffix}", "PNG")
    return data


ZEBRA = "image,labels\na,zebra\nb,apple\nc,apple;zebra\n"


def test_masks_that_number_classes_otherwise_than_the_labels_are_refused(tmp_path: Path) -> None:
    """Without classes.txt the order is that of the alphabet: apple is 1."""
    right = with_masks(tmp_path / "right", ZEBRA, {"a": 2, "b": 1, "c": 1})
    assert open_masks(right, "all").read("a").max() == 2
    wrong = with_masks(tmp_path / "wrong", ZEBRA, {"a": 1, "b": 2, "c": 1})
    complaint(lambda: open_masks(wrong, "all"), "classes.txt", "order", "a.png shows apple", "labelled zebra")
    (tmp_path / "wrong" / "classes.txt").write_text("zebra\napple\n")
    assert open_masks(wrong, "all").read("a").max() == 1


@pytest.mark.parametrize(
    ("rows", "asked"),
    [
        ("a,apple;zebra\nb,apple;zebra\n", True),
        ("a,apple;zebra\nb,\nc,\n", True),
        ("a,apple;zebra\nb,apple\nc,\n", False),
        ("a,apple\nb,\nc,apple\n", False),
        ("a,apple\nb,apple\nno_mask,zebra\n", False),
    ],
)
def test_masks_whose_numbers_the_labels_do_not_tell_apart_are_asked_about(
    tmp_path: Path, rows: str, *, asked: bool
) -> None:
    data = with_masks(
        tmp_path, f"image,labels\n{rows}", {"a": 1, "b": 1}, names="a.png b.png c.png no_mask.png"
    )
    if asked:
        complaint(lambda: open_masks(data, "all"), "classes.txt: is needed", "apple and zebra")
        (tmp_path / "classes.txt").write_text("zebra\napple\n")
    masks = open_masks(data, "all")
    assert masks is not None
    assert masks.classes[0] == ("zebra" if asked else "apple")


def test_masks_that_count_from_the_background_are_those_of_a_list_that_begins_with_it(tmp_path: Path) -> None:
    table = "image,labels\na,zebra\nb,apple\n"
    data = with_masks(tmp_path, table, {"a": 1, "b": 2}, classes="_background_\nzebra\napple\n")
    masks = open_masks(data, "all")
    assert masks.classes == ("zebra", "apple")
    assert [masks.read(i).max().item() for i in "ab"] == [1, 2]
    (tmp_path / "classes.txt").write_text("thing\nzebra\napple\n")  # as if it were a class
    complaint(lambda: open_masks(data, "all"), "classes.txt", "order")


def test_masks_of_0_and_255_alone_are_refused(tmp_path: Path) -> None:
    data = with_masks(tmp_path, "image,labels\na,cat\nb,cat\nc,\n", {"a": 255, "b": 255, "c": 0})
    complaint(lambda: open_masks(data, "all"), "a.png", "255", "void")


def test_masks_that_number_all_things_1_are_refused(tmp_path: Path) -> None:
    """Most agree: those of the first class, and of photos with both."""
    rows = {"a": "apple", "b": "apple", "c": "zebra", "d": "zebra", "e": "apple;zebra", "f": "apple"}
    table = "image,labels\n" + "".join(f"{i},{labels}\n" for i, labels in rows.items())
    data = with_masks(tmp_path, table, dict.fromkeys(rows, 1), names=" ".join(rows))
    complaint(lambda: open_masks(data, "all"), "classes.txt", "shows apple", "labelled zebra")
    (tmp_path / "classes.txt").write_text("apple\nzebra\n")
    complaint(lambda: open_masks(data, "all"), "classes.txt", "shows apple", "labelled zebra")


def test_a_few_masks_that_differ_from_the_labels_are_masks(tmp_path: Path) -> None:
    """Labels may be wrong, and a mask may be void all over."""
    table = "image,labels\n" + "".join(f"n{n},{'apple' if n % 2 else 'zebra'}\n" for n in range(8))
    values = {f"n{n}": 1 if n % 2 else 2 for n in range(8)} | {"n0": 1, "n1": 255}
    data = with_masks(tmp_path, table, values, names=" ".join(values))
    assert open_masks(data, "all").read("n1").max() == 255


def test_masks_of_more_classes_than_they_can_number_are_refused_though_few_are_kept(tmp_path: Path) -> None:
    listed = "".join(f"c{n}\n" for n in range(255))
    data = make_folder(tmp_path, "image,labels\na,c7\nb,c8\n", classes=listed)
    (tmp_path / "masks").mkdir()
    assert open_images(data, "all", ["c7"]).labels == {"a": {0}, "b": set()}
    complaint(lambda: open_masks(data, "all", ["c7"]), "there are 255 classes", "254")


@pytest.mark.parametrize("suffix", [".PNG", ".Png"])
def test_masks_may_have_a_suffix_in_capitals(tmp_path: Path, suffix: str) -> None:
    data = with_masks(tmp_path, "image,labels\na,cat\n", {"a": 1}, suffix=suffix)
    assert open_masks(data, "all").read("a").max() == 1


def test_masks_lie_in_subfolders_as_their_photos_do(tmp_path: Path) -> None:
    data = with_masks(tmp_path, "image,labels\nx/a,cat\n", {}, names="top.png")
    for kind in ("images", "masks"):
        (tmp_path / kind / "x").mkdir()
        Image.new("L", (3, 2), 1).save(tmp_path / kind / "x" / "a.png")
    assert open_masks(data, "all").read("x/a").max() == 1
    complaint(lambda: open_masks(data, "all").read("../images/x/a"), "leads out")


def test_photos_and_labels_of_a_folder_are_the_same_where_it_has_no_masks(discs: str) -> None:
    before = open_images(discs, "all")
    pixels = {i: before.read(i).pixels for i in before.ids}
    shutil.rmtree(Path(discs.removeprefix("folder:")) / "masks")
    after = open_images(discs, "all")
    assert (after.ids, after.classes, after.labels) == (before.ids, before.classes, before.labels)
    assert all(torch.equal(after.read(i).pixels, pixels[i]) for i in before.ids)


def test_neither_data_nor_what_segmentation_writes_with_loads_masks() -> None:
    """In a process of its own: tests have loaded everything."""
    code = (
        "import sys, types; package = types.ModuleType('beyondcam'); package.__path__ = [sys.argv[1]]; "
        "sys.modules['beyondcam'] = package; import beyondcam.data, beyondcam.label_images; "
        "print(sorted(name for name in sys.modules if 'masks' in name or 'painting' in name))"
    )
    from beyondcam import data

    source = Path(data.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code, source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
