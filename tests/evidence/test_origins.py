"""Evidence is of the photo and the weights that it was made of, wherever the data and the RUN lie."""

import json
import os
import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from shelves import evidence_of, shelf_of

import beyondcam as bc
from beyondcam.classifier import load_classifier
from beyondcam.evidence import Shelf, find_shelf, map_split, shelves, write_evidence
from beyondcam.evidence.origins import Origins
from beyondcam.recipes import Cookbook
from conftest import complaint, make_folder, shelf_for

ZEROS = evidence_of(np.zeros((1, 48, 48)), (0,))


def filled(discs: str, run: Path) -> Shelf:
    """Evidence of p01, made of its photo as it is now."""
    shelf, images = shelf_of(discs, run, {})
    write_evidence(shelf, "p01", ZEROS, images.read("p01").file)
    return shelf


def photo_of(discs: str) -> Path:
    return Path(discs.removeprefix("folder:")) / "images" / "p01.png"


def replace_photo(path: Path) -> bytes:
    """Another photo of the same size; returns the bytes of the first."""
    before = path.read_bytes()
    Image.new("RGB", (48, 48), "green").save(path)
    return before


def test_photo_replaced_by_another_of_its_size_has_no_evidence_until_it_is_mapped(
    discs: str, tmp_path: Path
) -> None:
    run, path = tmp_path / "run", photo_of(discs)
    shelf, images = filled(discs, run), bc.open_images(discs, "all")
    assert shelf.has("p01", (0,), path)
    assert find_shelf(run, images, "own").read("p01").targets == (0,)
    before = replace_photo(path)
    assert not shelf.has("p01", (0,), path)
    complaint(lambda: find_shelf(run, images, "own").read("p01"), "another photo", "beyondcam map")
    other = evidence_of(np.ones((1, 48, 48)), (0,))
    write_evidence(shelf, "p01", other, images.read("p01").file)
    assert find_shelf(run, images, "own").read("p01").levels.max() == 1
    path.write_bytes(before)  # and back: the evidence is of the second photo
    complaint(lambda: find_shelf(run, images, "own").read("p01"), "another photo")


def test_a_photo_that_is_gone_is_said_to_be(discs: str, tmp_path: Path) -> None:
    filled(discs, tmp_path / "run")
    shelf = find_shelf(tmp_path / "run", bc.open_images(discs, "all"), "own")
    photo_of(discs).unlink()
    complaint(lambda: shelf.read("p01"), "p01.png: there is no such photo any more")


def test_time_of_a_photo_alone_says_nothing(discs: str, tmp_path: Path) -> None:
    filled(discs, tmp_path / "run")
    os.utime(photo_of(discs), (1, 1))
    find_shelf(tmp_path / "run", bc.open_images(discs, "all"), "own").read("p01")


def test_killed_between_its_line_and_its_file_evidence_is_not_taken_for_another_photos(
    discs: str, tmp_path: Path
) -> None:
    """The line of new evidence is there, the file is still the old one."""
    shelf, path = filled(discs, tmp_path / "run"), photo_of(discs)
    replace_photo(path)
    images = bc.open_images(discs, "all")
    photo = images.read("p01").file
    assert photo is not None
    shelf.origins.add("p01", evidence_of(np.ones((1, 48, 48)), (0,)).encode(), photo)
    assert not shelf.has("p01", (0,), path)
    with next((shelf.folder / "photos").glob("*.csv")).open("a") as lines:
        lines.write("p01,0123")  # cut off
    complaint(lambda: find_shelf(tmp_path / "run", images, "own").read("p01"), "another photo")


def test_lines_of_other_processes_are_seen(discs: str, tmp_path: Path) -> None:
    shelf, path = filled(discs, tmp_path / "run"), photo_of(discs)
    assert shelf.has("p01", (0,), path)
    (mine,) = (shelf.folder / "photos").glob("*.csv")
    replace_photo(path)
    assert not shelf.has("p01", (0,), path)
    photo = bc.open_images(discs, "all").read("p01").file
    theirs = pickle.loads(pickle.dumps(shelf))  # as a worker process gets it
    assert theirs.origins.folder == shelf.origins.folder
    content = shelf.path("p01").read_bytes()
    theirs.origins.add("p01", content, photo)
    mine.rename(mine.with_name("other.csv"))
    assert shelf.has("p01", (0,), path)


def test_threads_that_ask_at_once_all_see_that_a_photo_has_changed(discs: str, tmp_path: Path) -> None:
    shelf, path = filled(discs, tmp_path / "run"), photo_of(discs)
    content = shelf.path("p01").read_bytes()
    lines = next((shelf.folder / "photos").glob("*.csv"))
    lines.write_text("p99,0,1,1,0\n" * 20_000 + lines.read_text())
    replace_photo(path)
    fresh = Origins(shelf.folder)  # that of `shelf` knows its own lines
    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda _: fresh.changed("p01", content, path), range(4)))


def test_evidence_of_which_no_photo_is_recorded_is_taken_as_it_is(discs: str, tmp_path: Path) -> None:
    """As an earlier version has left it, or what was made in memory."""
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": np.zeros((48, 48))})
    assert shelf.has("p01", (0,), photo_of(discs))
    find_shelf(tmp_path / "run", images, "own").read("p01")
    assert not list(Origins(tmp_path).of(["p01"]))


def test_run_and_data_may_be_moved_apart_and_renamed(discs: str, tmp_path: Path) -> None:
    filled(discs, tmp_path / "run")
    there = tmp_path / "other disk"
    there.mkdir()
    (tmp_path / "run").rename(there / "renamed run")
    Path(discs.removeprefix("folder:")).rename(there / "renamed data")
    images = bc.open_images(f"folder:{there / 'renamed data'}", "all")
    found = find_shelf(there / "renamed run", images, "own")
    assert found.read("p01").targets == (0,)
    again = shelf_for(there / "renamed run", images, "own", recipe="cam")
    assert again.folder == found.folder
    copied = shutil.copytree(there / "renamed data", tmp_path / "copy", copy_function=shutil.copyfile)
    assert shelf_for(
        there / "renamed run", bc.open_images(f"folder:{copied}", "all"), "own", recipe="cam"
    ).has("p01", (0,), Path(copied) / "images" / "p01.png")


def test_other_data_of_the_same_names_have_shelves_of_their_own(discs: str, tmp_path: Path) -> None:
    shelf, run = filled(discs, tmp_path / "run"), tmp_path / "run"
    other = make_folder(tmp_path / "other", 8)
    for path in (other / "images").iterdir():
        Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    images = bc.open_images(f"folder:{other}", "all")
    assert not list(shelves(run, images))
    assert shelf_for(run, images, "own", recipe="cam").folder != shelf.folder


def test_labels_of_photos_that_are_gone_do_not_hide_the_others(discs: str, tmp_path: Path) -> None:
    filled(discs, tmp_path / "run")
    folder = Path(discs.removeprefix("folder:")).rename(tmp_path / "moved")
    (folder / "labels.csv").write_text((folder / "labels.csv").read_text() + "../../x,blue\nghost,blue\n")
    images = bc.open_images(f"folder:{folder}", "all")
    assert find_shelf(tmp_path / "run", images, "own").read("p01").targets == (0,)


@pytest.mark.parametrize(
    "change",
    [
        {"classes": None}, {"targets": 3}, {"checkpoint": []}, {"name": None}, {"version": "2"},
    ],
)  # fmt: skip
def test_half_a_manifest_is_one_line(discs: str, tmp_path: Path, change: dict[str, object]) -> None:
    path = filled(discs, tmp_path / "run").folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    complaint(
        lambda: list(shelves(tmp_path / "run", bc.open_images(discs, "all"))), "manifest.json", "delete"
    )
    path.write_text("[]")
    complaint(
        lambda: list(shelves(tmp_path / "run", bc.open_images(discs, "all"))), "manifest.json", "delete"
    )


def test_evidence_is_of_the_network_that_was_loaded(trained: tuple[Path, str], tmp_path: Path) -> None:
    """Trained again while it maps, a RUN has evidence of the old network under the old one's name."""
    run = Path(shutil.copytree(trained[0], tmp_path / "run"))
    images = bc.open_images(trained[1], "all")
    classifier = load_classifier(run)
    checkpoint = run / "classifier.safetensors"
    first = checkpoint.read_bytes()
    changed = bytearray(first)
    changed[-1] ^= 1
    checkpoint.write_bytes(changed)
    map_split(classifier, images, {"cam": Cookbook().recipe("cam")}, run)
    assert not list(shelves(run, images))
    checkpoint.write_bytes(first)
    assert [shelf.name for shelf in shelves(run, images)] == ["cam"]
    assert load_classifier(run).checkpoint == classifier.checkpoint == bc.evidence.checkpoint_hash(run)
