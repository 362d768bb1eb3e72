"""A folder for each class, as it is and in its variants."""

import unicodedata
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beyondcam.data import open_images, recognised, with_negatives
from beyondcam.data.masks import open_masks
from conftest import complaint


def mask(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.zeros((3, 4), np.uint8)
    pixels[1] = value
    Image.fromarray(pixels).save(path)


def photos(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3), (len(name), 0, 0)).save(root / name)
    return root


def test_each_folder_is_a_class_and_photos_beside_them_are_unlabelled(tmp_path: Path) -> None:
    root = photos(tmp_path, "cats/1.jpg", "cats/old/1.PNG", "dogs/1.jpg", "loose.jpg", ".hidden/x.jpg")
    (root / "cats" / "notes.txt").write_text("no photo")
    images = open_images(f"imagefolder:{root}", "all")
    assert images.classes == ("cats", "dogs")
    assert images.ids == ("cats/1", "cats/old/1", "dogs/1", "loose")
    assert images.labels == {"cats/1": {0}, "cats/old/1": {0}, "dogs/1": {1}}
    assert images.unlabelled == {"loose": "lies in no folder of a class"}
    assert images.file_name("cats/old/1") == "cats/old/1.PNG"
    assert images.read("dogs/1").size == (3, 4)
    assert open_masks(f"imagefolder:{root}", "all") is None
    train, val = (set(open_images(f"imagefolder:{root}", split).ids) for split in ("train", "val"))
    assert train | val == set(images.ids)
    assert not train & val


def test_folders_that_hold_all_the_classes_are_named(tmp_path: Path) -> None:
    root = photos(tmp_path, "all/cats/1.jpg", "all/dogs/1.jpg")
    complaint(lambda: open_images(f"imagefolder:{root}", "all"), f"give {root / 'all'}")
    assert open_images(f"imagefolder:{root / 'all'}", "all").classes == ("cats", "dogs")
    photos(tmp_path, "cover.jpg")
    complaint(lambda: open_images(f"imagefolder:{root}", "all"), f"give {root / 'all'}")
    photos(tmp_path, "ok/1.jpg")
    assert open_images(f"imagefolder:{root}:ok", "all").classes == ("all",)


def test_a_split_beside_other_photos_is_no_class(tmp_path: Path) -> None:
    root = photos(tmp_path, "train/cats/1.jpg", "train/dogs/1.jpg", "cover.jpg")
    complaint(lambda: open_images(str(root), "all"), f"give {root / 'train'}")


def test_a_folder_called_as_those_of_photos_are_is_no_class(tmp_path: Path) -> None:
    """As YOLO's data are, whose labels are not read."""
    yolo = photos(tmp_path / "yolo", "train/images/1.jpg", "valid/images/2.jpg")
    complaint(lambda: open_images(str(yolo), "all"), "images/, which is no class", "labels.csv")
    photos(tmp_path / "scans", "images/1.jpg", "ok/1.jpg")
    assert open_images(f"imagefolder:{tmp_path / 'scans'}:ok", "all").classes == ("images",)


def test_classes_that_differ_in_case_are_one_line_unless_they_are_asked_for(tmp_path: Path) -> None:
    data = f"imagefolder:{photos(tmp_path, 'train/Cat/1.jpg', 'val/cat/1.jpg', 'val/dog/1.jpg')}"
    for classes in (None, ["cat", "dog"]):
        complaint(lambda classes=classes: open_images(data, "all", classes), str(tmp_path), "'cat'", "'Cat'")
    assert open_images(data, "all", ["cat", "Cat"]).labels["train/Cat/1"] == {1}
    complaint(lambda: open_images(f"{data}/val", "all", ["DOG"]), "no class named 'DOG'")


def test_folders_of_programs_are_no_classes_and_what_is_not_read_is_counted(tmp_path: Path) -> None:
    root = photos(tmp_path, "Training/cats/1.jpg", "Testing/cats/2.jpg", "Training/@eaDir/1/THUMB.jpg")
    (root / "Training/cats/3.HEIC").touch()
    images = open_images(f"imagefolder:{root}", "train")
    assert (images.ids, images.classes) == (("Training/cats/1",), ("cats",))
    assert "1 .heic not read" in images.form


def test_a_class_may_be_a_link_to_a_folder(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", "dogs/1.jpg")
    photos(tmp_path / "elsewhere", "1.jpg", "old/2.jpg")
    (root / "cats").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "old" / "round").symlink_to(tmp_path / "elsewhere")
    (root / "dogs" / "up").symlink_to("../..")
    images = open_images(f"imagefolder:{root}", "all")
    assert images.ids == ("cats/1", "cats/old/2", "dogs/1")
    assert images.read("cats/old/2").size == (3, 4)


def test_photos_of_no_class_are_said_to_be_so(tmp_path: Path) -> None:
    root = photos(tmp_path, "hole/1.png", "Good/1.png", "Good/2.png")
    complaint(
        lambda: open_images(f"imagefolder:{root}", "all"), "negatives: ", "Good", f"imagefolder:{root}:"
    )
    negative = open_images(f"imagefolder:{root}:Good", "all")
    assert negative.classes == ("hole",)
    assert negative.labels == {"Good/1": set(), "Good/2": set(), "hole/1": {0}}
    assert open_images(negative.data, "all").labels == negative.labels
    assert open_images(f"imagefolder:{root}:", "all").classes == ("Good", "hole")
    complaint(lambda: open_images(f"imagefolder:{root}:none", "all"), "negatives: ", "none")
    assert open_images(with_negatives(str(root), "Good"), "all").data == negative.data
    complaint(lambda: with_negatives("digits", "Good"), "negatives: ", "digits")
    complaint(lambda: open_images(f"imagefolder:{root}/nowhere", "all"), "nowhere", "no such folder")


def test_folders_of_splits_are_the_splits(tmp_path: Path) -> None:
    root = photos(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg")
    train, val = (open_images(f"imagefolder:{root}", split) for split in ("train", "val"))
    assert train.ids == ("train/a/1", "train/b/1")
    assert val.ids == ("val/a/1",)
    assert train.classes == val.classes == ("a", "b")
    assert open_images(f"imagefolder:{root}", "all").ids == (*train.ids, *val.ids)
    complaint(lambda: open_images(f"imagefolder:{root}", "test"), "the split test is empty")
    loud = photos(tmp_path / "loud", "Train/a/1.jpg", "Train/b/1.jpg", "Val/a/1.jpg")
    assert open_images(f"imagefolder:{loud}", "val").classes == ("a", "b")
    photos(loud, "cover.jpg")  # now Train and Val would be classes
    complaint(lambda: open_images(f"imagefolder:{loud}", "all"), "train and val", "cover")
    photos(loud / "vehicles", "train/1.jpg", "bus/1.jpg", "cover.jpg")
    assert open_images(f"imagefolder:{loud / 'vehicles'}", "all").classes == ("bus", "train")


def test_what_a_folder_is_is_told_by_what_is_in_it(tmp_path: Path) -> None:
    photos(tmp_path / "voc", "JPEGImages/1.jpg")
    photos(tmp_path / "plain", "images/1.jpg")
    photos(tmp_path / "classes", "cats/1.jpg", "dogs/1.jpg")
    photos(tmp_path / "sorted", "images/cats/1.jpg", "images/dogs/1.jpg")
    names = ("voc", "plain", "classes", "sorted")
    kinds = {name: recognised(str(tmp_path / name)).partition(":")[0] for name in names}
    assert kinds == {"voc": "voc", "plain": "folder", "classes": "imagefolder", "sorted": "imagefolder"}
    assert open_images(str(tmp_path / "sorted"), "all").classes == ("cats", "dogs")
    assert recognised("digits:objects=1") == "digits:objects=1"
    assert open_images(str(tmp_path / "classes"), "all").data == f"imagefolder:{tmp_path / 'classes'}"
    complaint(lambda: open_images(str(tmp_path / "nothing"), "all"), "data: ", "imagefolder:PATH")


@pytest.mark.parametrize("folder", ["masks", "Masks", "mask", "SegmentationClass", "ground_truth"])
def test_masks_are_never_photos(folder: str, tmp_path: Path) -> None:
    """Wherever they lie: beside the classes, in one, in a split, or beside a table of labels."""
    sound = ("train/cats/1.jpg", "train/dogs/1.jpg", "val/cats/2.jpg")
    plain = photos(tmp_path / "plain", *(name.partition("/")[2] for name in sound))
    split = photos(tmp_path / "split", *sound)
    alone = photos(tmp_path / "alone")
    for name in (f"{folder}/1.png", f"{folder}/cats/1.png", f"cats/{folder}/1.png"):
        mask(plain / name, 1)
        mask(split / "train" / name, 1)
        mask(split / name, 1)
    mask(alone / folder / "1.png", 1)
    for root in (plain, split):
        images = open_images(str(root), "all")
        assert images.classes == ("cats", "dogs")
        assert len(images.ids) == len(images.labels) == 3
        assert f"{folder}/ left out as masks" in images.taken_for(str(root))
    assert open_images(str(split), "train").ids == ("train/cats/1", "train/dogs/1")
    complaint(lambda: open_images(str(alone), "all"), "no folder of photos")
    (plain / "labels.csv").write_text("image,labels\ncats/1.jpg,cats\n")
    assert open_images(str(plain), "all").ids == ("cats/1", "cats/2", "dogs/1")


def test_masks_beside_the_classes_are_there_to_score_by(tmp_path: Path) -> None:
    root = photos(tmp_path / "photos", "cats/1.jpg", "dogs/1.jpg", "dogs/2.jpg", "none/3.jpg")
    data = f"imagefolder:{root}:none"
    assert open_masks(data, "all") is None
    for name, value in (("cats/1", 1), ("dogs/1", 2), ("2", 2), ("1", 1)):  # whose photo could be two
        mask(root / "masks" / f"{name}.png", value)
    masks = open_masks(data, "all")
    assert masks.classes == ("cats", "dogs")
    assert [masks.read(i).max() for i in ("cats/1", "dogs/1", "dogs/2")] == [1, 2, 2]
    complaint(lambda: masks.read("none/3"), "none/3.png")
    assert open_masks(data, "all", ["dogs"]).read("dogs/2").max() == 1
    (root / "classes.txt").write_text("dogs\ncats\n")
    complaint(lambda: open_masks(data, "all"), "classes.txt", "must list the classes in the order")
    (root / "classes.txt").write_text("dogs\n")
    complaint(lambda: open_masks(data, "all"), "classes.txt", "does not list cats")
    complaint(lambda: open_masks(data, "test"), "no split 'test'")


def test_masks_may_lie_beside_the_folder_images(tmp_path: Path) -> None:
    photos(tmp_path / "photos", "images/cats/1.jpg", "images/dogs/1.jpg")
    mask(tmp_path / "photos" / "masks" / "dogs" / "1.png", 2)
    assert open_masks(str(tmp_path / "photos"), "all").read("dogs/1").max() == 2


def test_what_data_are_taken_for_is_said_where_it_was_guessed(tmp_path: Path) -> None:
    root = photos(tmp_path, "train/a/1.jpg", "train/b/1.jpg", "val/a/1.jpg")
    told = open_images(str(root), "all").taken_for(str(root))
    assert told.startswith(f"{root}: is imagefolder:{root}, a folder for each class, ")
    assert told.endswith("train and val taken together, unless one is named (split)")
    train = open_images(f"imagefolder:{root}", "train")
    assert train.taken_for(f"imagefolder:{root}") == f"imagefolder:{root}: a folder for each class"
    assert replace(train, form="").taken_for(f"imagefolder:{root}") == ""


def test_spaces_around_a_folders_name_are_none_of_the_class(tmp_path: Path) -> None:
    root = photos(tmp_path, "crack /1.jpg", "hole/1.jpg")
    images = open_images(f"imagefolder:{root}", "all")
    assert images.classes == ("crack", "hole")
    assert open_images(f"imagefolder:{root}", "all", ["crack"]).labels["crack /1"] == {0}


def test_names_asked_for_are_the_same_however_their_accents_are_written(tmp_path: Path) -> None:
    apart = [unicodedata.normalize("NFD", name) for name in ("café", "thé", "à jeter")]
    root = photos(tmp_path, *(f"{name}/1.jpg" for name in apart))
    (root / "masks").mkdir()
    for opener in (open_images, open_masks):
        assert opener(f"imagefolder:{root}:{apart[2]}", "all", [apart[1], f" {apart[0]}"]).classes == (
            "thé", "café",
        )  # fmt: skip
