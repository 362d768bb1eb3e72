"""Sources of data: how they are named, classes, splits, and that nothing leads from images to masks."""

import dataclasses
import functools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from builders import make_coco, make_folder, make_voc, present

from beyondcam.data import open_images, voc
from beyondcam.data.instances import Instances
from beyondcam.data.masks import open_masks
from beyondcam.data.source import choose_classes, hash_split
from beyondcam.decode import pictures
from conftest import complaint


@pytest.mark.parametrize("data", ["", "nonsense", "voc", "voc:", "folder:", "zip:/x"])
def test_unknown_data_is_one_line_that_says_what_there_is(data: str) -> None:
    complaint(lambda: open_images(data, "train"), "voc:PATH", "folder:PATH", "digits")


@pytest.mark.parametrize("data", ["{}", "folder:{}", "imagefolder:{}", "voc:{}", "coco:{}:x.json"])
def test_a_path_that_cannot_be_looked_at_is_one_line(data: str) -> None:
    for opener in (open_images, open_masks):
        complaint(lambda opener=opener: opener(data.format("a" * 300), "all"), "aaa", "could not be read")


# Classes and splits


@pytest.mark.parametrize("number", [255, 300])
def test_more_classes_than_a_mask_can_number_are_refused(number: int) -> None:
    """Labels are uint8 and 255 is void, so 254 classes is the most."""
    assert len(choose_classes(None, [f"c{n}" for n in range(254)])) == 254
    complaint(lambda: choose_classes(None, [f"c{n}" for n in range(number)]), "254", "those to keep")
    assert choose_classes(["c290", "c3"], [f"c{n}" for n in range(300)]) == ("c290", "c3")


def test_no_class_is_none_to_keep() -> None:
    complaint(lambda: open_images("digits", "val_2", []), "classes: ", "leave them out")


def test_hash_split_parts_the_ids_into_train_and_val() -> None:
    ids = [f"image-{n}" for n in range(2000)]
    train, val = hash_split(ids, "train", "x"), hash_split(ids, "val", "x")
    assert not set(train) & set(val)
    assert sorted((*train, *val)) == sorted(ids)
    assert hash_split(ids, "all", "x") == tuple(ids)
    assert 0.17 < len(val) / len(ids) < 0.23  # 3.4 standard deviations of a fifth


def test_hash_split_of_an_image_does_not_depend_on_the_others() -> None:
    ids = [f"image-{n}" for n in range(100)]
    few = hash_split(ids[::7], "val", "x")
    assert few == tuple(i for i in ids[::7] if i in hash_split(ids, "val", "x"))
    assert few  # else nothing was shown


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
    assert Instances in masks
    assert Instances not in images


def test_walk_would_find_a_mask_folder_in_a_closure(tmp_path: Path) -> None:
    masks = open_masks(f"voc:{make_voc(tmp_path)}", "train")
    assert any("SegmentationClass" in str(one) for one in reachable(masks) if isinstance(one, (str, Path)))


def test_labels_from_xml_never_open_a_mask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_voc(tmp_path)
    opened: list[str] = []
    real = pictures.open_regular

    def recording(path: Path):
        opened.append(str(path))
        return real(path)

    def forbidden(path: Path):
        raise AssertionError(f"{path} was opened")

    monkeypatch.setattr(pictures, "open_regular", recording)
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
