"""Shelves: what is kept apart, what is found again, costs, and full disks."""

import errno
import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shelves import assert_same, evidence_of, evidence_of_maps, shelf_of

from beyondcam.data import LabelledImages, Photo
from beyondcam.evidence import (
    Shelf,
    checkpoint_hash,
    find_shelf,
    open_shelf,
    shelves,
    write_evidence,
)
from beyondcam.recipes import Cookbook, Cost
from conftest import complaint, shelf_for


def labelled(
    data: str = "folder:/x", split: str = "val", classes: tuple[str, ...] = ("a", "b")
) -> LabelledImages:
    blank = Photo.of(torch.zeros(3, 2, 2, dtype=torch.uint8))
    return LabelledImages(data, split, classes, ("1",), {"1": frozenset()}, lambda _: blank)


def shelf(run: Path, images: LabelledImages | None = None, *, checkpoint: bytes = b"c0", **changes) -> Shelf:
    run.mkdir(exist_ok=True)
    (run / "classifier.safetensors").write_bytes(checkpoint)
    recipe = Cookbook().recipe("cam")
    asked = {"targets": "labels", "name": "cam", "recipe": recipe, "seed": 0, "precision": "float32"}
    return open_shelf(run, images or labelled(), **(asked | changes))


@pytest.mark.parametrize("name", ["cam/ms", "../../cam", "cam\\ms", "c" * 300])
def test_a_name_that_is_no_folders_is_refused(name: str, tmp_path: Path) -> None:
    complaint(lambda: shelf(tmp_path, name=name), repr(name)[1:-1][:60])


def test_anything_else_asked_is_another_folder_and_the_same_is_the_same(tmp_path: Path) -> None:
    own = [
        shelf(tmp_path),
        shelf(tmp_path, name="other"),
        shelf(tmp_path, recipe=Cookbook().recipe("cam+smooth")),
        shelf(tmp_path, seed=1),
        shelf(tmp_path, targets="predicted"),
        shelf(tmp_path, precision="bf16"),
    ]
    others = [
        shelf(tmp_path, labelled(split="train")),
        shelf(tmp_path, labelled(data="folder:/y")),
        shelf(tmp_path, labelled(classes=("b", "a"))),
        shelf(tmp_path, checkpoint=b"c1"),
    ]
    assert len({one.folder for one in (*own, *others)}) == len(own) + len(others)
    assert shelf(tmp_path).folder == own[0].folder  # with the first checkpoint again
    found = list(shelves(tmp_path, labelled()))
    assert {one.folder for one in found} == {one.folder for one in own}
    assert {one.name for one in found} == {"cam", "other"}


def test_run_without_a_checkpoint_is_one_line_that_says_what_makes_it(tmp_path: Path) -> None:
    complaint(lambda: list(shelves(tmp_path, labelled())), "classifier.safetensors", "beyondcam train")


def test_manifest_says_how_the_evidence_was_made(tmp_path: Path) -> None:
    one = shelf(tmp_path, seed=3)
    manifest = json.loads((one.folder / "manifest.json").read_text())
    recipe = Cookbook().recipe("cam")
    expected = {
        "recipe_hash": recipe.hash, "recipe": json.loads(recipe.model_dump_json()), "name": "cam", "seed": 3,
        "checkpoint": hashlib.sha256(b"c0").hexdigest()[:10], "precision": "float32", "targets": "labels",
        "data": "folder:/x", "split": "val", "classes": ["a", "b"],
    }  # fmt: skip
    assert {key: manifest[key] for key in expected} == expected


def test_broken_manifest_is_one_line_that_names_it(tmp_path: Path) -> None:
    (shelf(tmp_path).folder / "manifest.json").write_text('{"data": ')
    complaint(lambda: list(shelves(tmp_path, labelled())), "manifest.json", "beyondcam map")


@pytest.mark.parametrize(
    "image_id",
    [
        "a",
        "2008_000001",
        "a.b",
        "sub/dir/a",
        "../../a",
        ".hidden",
        "with space",
        "50%",
        "größe",
        pytest.param("猫" * 83, id="long"),
    ],
)
def test_every_file_name_has_evidence_of_its_own_in_the_folder(tmp_path: Path, image_id: str) -> None:
    """83 characters of three bytes and .jpg are the longest name that most file systems take."""
    one = shelf(tmp_path)
    evidence = evidence_of_maps([[1.0, 0.5]])
    write_evidence(one, image_id, evidence)
    assert_same(one.read(image_id), evidence)
    assert one.path(image_id).resolve().parent == one.folder.resolve()
    assert len(list(one.folder.iterdir())) == 2  # with the manifest


def test_names_that_differ_have_files_that_differ(tmp_path: Path) -> None:
    one = shelf(tmp_path)
    names = ["a/b", "a%2Fb", "a_b", "a b", "a%20b", "猫" * 80 + "a", "猫" * 80 + "b"]
    assert len({one.path(i) for i in names}) == len(names)


def test_cost_is_the_mean_over_all_images_mapped(tmp_path: Path) -> None:
    one = shelf(tmp_path)
    assert one.cost() is None
    one.add_cost(3, Cost(6, 12, 1.5, 0.9))
    one.add_cost(1, Cost(10, 0, 0.5, 0.3))
    assert one.cost() == pytest.approx({"forward": 4, "backward": 3, "megapixels": 0.5, "seconds": 0.3})


def test_cost_that_cannot_be_written_is_one_line_that_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shelf(tmp_path)
    monkeypatch.setattr(Path, "open", full_disk)
    complaint(lambda: one.add_cost(1, Cost(1, 0, 0.1, 0.1)), "cost-", "No space left on device")


def test_checkpoint_is_named_by_its_content(tmp_path: Path) -> None:
    complaint(lambda: checkpoint_hash(tmp_path), "classifier.safetensors", "beyondcam train")
    (tmp_path / "classifier.safetensors").write_bytes(b"weights")
    assert checkpoint_hash(tmp_path) == hashlib.sha256(b"weights").hexdigest()[:10]


def test_evidence_of_many_targets_of_a_large_photo_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow takes a picture of more pixels than `MAX_IMAGE_PIXELS` for a bomb."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    evidence = evidence_of_maps(*[[[float(n), 1.0]] * 10 for n in range(4)])
    there = shelf(tmp_path)
    write_evidence(there, "a", evidence)
    assert_same(there.read("a"), evidence)
    assert there.has("a", evidence.targets)
    assert not there.has("a", (7,))
    assert not there.has("b", None)


def full_disk(*args, **kwargs) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def half_written(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
    full_disk()


def test_full_disk_leaves_no_evidence_that_a_restart_would_take_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shelf(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", half_written)
    complaint(lambda: write_evidence(one, "a", evidence_of_maps([[1.0]])), "a.png")
    monkeypatch.undo()
    assert not one.path("a").exists()
    assert [path.name for path in one.folder.iterdir()] == ["manifest.json"]


def test_the_shelf_that_has_evidence_is_the_one_and_several_are_told_apart(
    discs: str, tmp_path: Path
) -> None:
    _, images = shelf_of(discs, tmp_path / "run", {})
    assert find_shelf(tmp_path / "run", images, "own").manifest["targets"] == "labels"
    other = shelf_for(tmp_path / "run", images, "own", recipe="cam", targets="predicted")
    write_evidence(other, "p01", evidence_of(np.zeros((1, 48, 48)), (0,)))
    found = find_shelf(tmp_path / "run", images, "own")
    assert found.manifest["targets"] == "predicted"
    shelf_of(discs, tmp_path / "run", {"p01": np.zeros((48, 48))})
    both = "several", "targets labels", "targets predicted", str(found.folder)
    complaint(lambda: find_shelf(tmp_path / "run", images, "own"), *both)
    for targets in ("labels", "predicted"):
        assert find_shelf(tmp_path / "run", images, "own", targets).manifest["targets"] == targets
    complaint(
        lambda: find_shelf(tmp_path / "run", images, "other"),
        "recipe: other",
        "there is own",
        "beyondcam map",
    )
