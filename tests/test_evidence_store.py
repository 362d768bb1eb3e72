"""Evidence on disk: what comes back, how exactly, and what happens where a file or a disk is broken."""

import errno
import hashlib
import json
import threading
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from beyondcam.data import LabelledImages, Photo
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import (
    LEVELS,
    Evidence,
    Shelf,
    level_threshold,
    open_shelf,
    read_evidence,
    shelves,
    threshold_level,
    winners_of,
)
from beyondcam.evidence.store import checkpoint_hash, write_evidence
from beyondcam.files import ahead, read_json, write_json, write_whole
from beyondcam.recipes import Cookbook, Cost
from beyondcam.seeds import seed_labels
from conftest import complaint


def evidence_of(*maps: list[list[float]], targets: tuple[int, ...] | None = None) -> Evidence:
    stacked = torch.tensor(maps, dtype=torch.float32)
    targets = tuple(range(len(maps))) if targets is None else targets
    return Evidence.of(stacked, targets, tuple(0.5 for _ in maps), tuple(stacked.shape[1:]))


def assert_same(a: Evidence, b: Evidence) -> None:
    assert np.array_equal(a.levels, b.levels)
    assert a.levels.dtype == b.levels.dtype == np.uint8
    for name in ("targets", "maxima", "scores", "size", "uncovered"):
        assert getattr(a, name) == getattr(b, name), name
        assert type(getattr(a, name)) is type(getattr(b, name)), name


# There and back


@pytest.mark.parametrize("number", [0, 1, 2, 5])
def test_evidence_comes_back_from_disk_as_it_was(tmp_path: Path, number: int) -> None:
    maps = torch.rand(number, 7, 11, generator=torch.Generator().manual_seed(0)) * 1e-3
    targets = tuple(range(3, 3 + 2 * number, 2))[::-1]
    scores = tuple(-1.5 + 0.1 * k for k in range(number))
    before = Evidence.of(maps, targets, scores, (70, 110), uncovered=0.0125)
    (tmp_path / "a.png").write_bytes(before.encode())
    after = read_evidence(tmp_path / "a.png")
    assert_same(after, before)
    assert after.levels.shape == (number, 7, 11)
    assert after.maxima == pytest.approx([m.max().item() for m in maps])


def test_evidence_file_is_a_grey_picture_of_the_maps_one_below_the_other(tmp_path: Path) -> None:
    evidence = evidence_of([[1.0, 0.25]], [[0.0, 4.0]])
    (tmp_path / "a.png").write_bytes(evidence.encode())
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.mode == "L"
        assert np.asarray(picture).tolist() == [[255, 128], [0, 255]]  # √0.25 · 255 = 127.5, to even


def test_same_evidence_has_the_same_bytes() -> None:
    maps = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(1))
    one, other = (Evidence.of(m, (0, 1), (0.5, 0.25), (9, 9)).encode() for m in (maps, maps.clone()))
    assert one == other


def test_evidence_is_the_map_by_its_maximum_with_no_minimum_taken_off() -> None:
    evidence = evidence_of([[2.0, 4.0, 1.0]], [[0.0, 0.0, 0.0]], [[7.0, 7.0, 7.0]])
    assert evidence.levels.tolist() == [[[180, 255, 128]], [[0, 0, 0]], [[255, 255, 255]]]
    assert evidence.maxima == (4, 0, 7)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    values=st.lists(st.floats(0, 1, width=32), min_size=1, max_size=30),
    maximum=st.floats(2.0**-60, 2.0**60, width=32),
)
def test_stored_evidence_is_as_close_as_half_a_level_of_its_root(values: list[float], maximum: float) -> None:
    maps = torch.tensor([[[1.0, *values]]]) * maximum
    evidence = Evidence.of(maps, (0,), (0.0,), (1, len(values) + 1))
    v = maps[0, 0].double().numpy() / maps.max().item()
    stored = (evidence.levels[0, 0] / (LEVELS - 1)) ** 2
    half = 0.5 / (LEVELS - 1)
    assert np.all(np.abs(np.sqrt(v) - np.sqrt(stored)) <= half + 1e-12)
    assert np.all(np.abs(v - stored) <= half * (2 * np.sqrt(v) + half) + 1e-12)
    order = np.argsort(v)
    assert np.all(np.diff(stored[order]) >= 0)


# Thresholds


def test_level_above_a_thresholds_level_is_evidence_above_the_threshold() -> None:
    """In exact arithmetic: (level / 255)² > τ, for τ in thousandths and at every level's own value."""
    exact = [Fraction(n, 1000) for n in range(1001)] + [Fraction(level, 255) ** 2 for level in range(256)]
    for threshold in exact:
        found = threshold_level(float(threshold))
        above = [level for level in range(LEVELS) if Fraction(level, 255) ** 2 > threshold]
        assert above == list(range(found + 1, LEVELS)), threshold


def test_level_and_its_threshold_lead_to_each_other() -> None:
    assert [threshold_level(level_threshold(level)) for level in range(LEVELS)] == list(range(LEVELS))
    assert level_threshold(0) == 0
    assert level_threshold(255) == 1


def test_threshold_beyond_the_range_is_everything_or_nothing() -> None:
    assert threshold_level(-1) == 0
    assert threshold_level(1) == threshold_level(7) == 255


def test_seed_is_the_winner_where_its_evidence_is_above_the_threshold() -> None:
    evidence = evidence_of([[1.0, 0.5, 0.2, 0.0]], [[0.1, 0.6, 0.2, 0.3]], targets=(4, 1))
    # class 1's maximum is 0.6: its v are 1/6, 1, 1/3, 1/2
    assert seed_labels(evidence, 0.0).tolist() == [[5, 2, 2, 2]]
    assert seed_labels(evidence, 0.4).tolist() == [[5, 2, 0, 2]]
    assert seed_labels(evidence, 0.6).tolist() == [[5, 2, 0, 0]]
    assert seed_labels(evidence, 1.0).tolist() == [[0, 0, 0, 0]]
    assert seed_labels(evidence, 0.4).dtype == np.uint8


# Winners


def test_tie_goes_to_the_lower_class_whatever_the_order_of_the_targets() -> None:
    levels = np.array([[[9, 9, 3]], [[9, 5, 7]], [[9, 9, 7]]], np.uint8)
    winners = winners_of(Evidence(levels, (5, 2, 7), (1.0,) * 3, (0.0,) * 3, (1, 3)))
    assert winners.labels.tolist() == [[3, 6, 3]]  # labels are classes + 1
    assert winners.levels.tolist() == [[9, 9, 7]]


def test_winners_come_at_the_size_of_the_picture_as_stored() -> None:
    """Bilinear, pixel centres at halves: the new ones lie at −¼, ¼, ¾ and 1¼ of the old."""
    levels = np.array([[[0, 203]], [[100, 100]]], np.uint8)
    winners = winners_of(Evidence(levels, (0, 1), (1.0,) * 2, (0.0,) * 2, (1, 4)))
    assert winners.labels.tolist() == [[2, 2, 1, 1]]
    assert winners.levels.tolist() == [[100, 100, 152, 203]]  # the first map is 0, 50.75, 152.25, 203
    taller = winners_of(Evidence(levels, (0, 1), (1.0,) * 2, (0.0,) * 2, (3, 2)))
    assert taller.labels.tolist() == [[2, 1]] * 3


def test_image_without_targets_has_no_winner_at_any_size() -> None:
    winners = winners_of(Evidence.of(torch.zeros(0, 2, 3), (), (), (4, 6)))
    assert winners.labels.tolist() == winners.levels.tolist() == [[0] * 6] * 4


def test_winner_where_there_is_no_evidence_is_background_at_threshold_nought() -> None:
    assert (seed_labels(evidence_of([[0.0, 0.0]]), 0.0) == 0).all()


def test_right_is_the_winners_level_where_it_names_the_truth() -> None:
    winners = winners_of(evidence_of([[1.0, 1.0, 1.0, 1.0]]))
    assert winners.right(np.array([[1, 0, 2, 255]], np.uint8)).tolist() == [[255, 0, 0, 0]]


# Broken files


def test_file_cut_short_anywhere_is_whole_or_one_line_that_names_it(tmp_path: Path) -> None:
    maps = torch.rand(2, 6, 9, generator=torch.Generator().manual_seed(0))
    evidence = Evidence.of(maps, (0, 3), (0.5, 0.25), (6, 9))
    whole = evidence.encode()
    path = tmp_path / "cut.png"
    refused = 0
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            found = read_evidence(path)
        except BeyondcamError as error:
            refused += 1
            problem = str(error)
        else:
            assert_same(found, evidence)
            continue
        assert "cut.png" in problem
        assert "beyondcam map" in problem
        assert "\n" not in problem
    assert refused > len(whole) - 40  # all but the checksums and end marker is needed


@pytest.mark.parametrize(
    "facts",
    [
        {},
        {"shape": [1, 4, 4]},
        {"shape": [1, 2, 2], "colour": 1},
        {"shape": []},
        {"shape": 3},
        [1],
        None,
    ],
)
def test_picture_that_is_no_evidence_is_one_line_that_names_it(tmp_path: Path, facts) -> None:
    text = PngInfo()
    if facts is not None:
        text.add_text("beyondcam", json.dumps(facts))
    Image.new("L", (2, 2)).save(tmp_path / "a.png", pnginfo=text)
    complaint(lambda: read_evidence(tmp_path / "a.png"), "a.png", "beyondcam map")


def test_evidence_of_many_targets_of_a_large_photo_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow takes a picture of more pixels than `MAX_IMAGE_PIXELS` for a bomb."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    evidence = evidence_of(*[[[float(n), 1.0]] * 10 for n in range(4)])
    there = shelf(tmp_path)
    write_evidence(there, "a", evidence)
    assert_same(there.read("a"), evidence)
    assert there.has("a", evidence.targets)
    assert not there.has("a", (7,))
    assert not there.has("b", None)


def test_missing_evidence_is_one_line_that_says_what_makes_it(tmp_path: Path) -> None:
    complaint(lambda: read_evidence(tmp_path / "a.png"), "a.png", "beyondcam map")


# Shelves


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
    evidence = evidence_of([[1.0, 0.5]])
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


# Whole files


def full_disk(*args, **kwargs) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def half_written(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
    full_disk()


@pytest.mark.parametrize(("method", "broken"), [("write_bytes", half_written), ("replace", full_disk)])
def test_full_disk_leaves_the_old_file_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, broken
) -> None:
    write_whole(tmp_path / "a.png", b"old content")
    monkeypatch.setattr(Path, method, broken)
    for name in ("a.png", "new.png"):
        complaint(
            lambda name=name: write_whole(tmp_path / name, b"new content"), name, "No space left on device"
        )
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old content"


def test_full_disk_leaves_no_evidence_that_a_restart_would_take_for_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = shelf(tmp_path)
    monkeypatch.setattr(Path, "write_bytes", half_written)
    complaint(lambda: write_evidence(one, "a", evidence_of([[1.0]])), "a.png")
    monkeypatch.undo()
    assert not one.path("a").exists()
    assert [path.name for path in one.folder.iterdir()] == ["manifest.json"]


def test_folder_that_cannot_be_made_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    complaint(lambda: write_whole(tmp_path / "file" / "a.json", b""), "a.json")
    complaint(lambda: write_whole(tmp_path / "file" / "deeper" / "a.json", b""), "a.json")


def test_name_that_is_too_long_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    complaint(lambda: write_whole(tmp_path / ("n" * 300), b""), "nnn")


def test_longest_name_that_the_disk_takes_can_be_written(tmp_path: Path) -> None:
    write_whole(tmp_path / ("n" * 255), b"content")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"content"


def test_whole_file_comes_with_its_folders_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.json"
    write_json(path, {"ü": [1, 2.5, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ü": [1, 2.5, None]}
    write_json(path, [])
    assert read_json(path, "beyondcam x") == []
    assert [p.name for p in path.parent.iterdir()] == ["c.json"]


def test_json_that_is_missing_or_broken_is_one_line_that_says_what_makes_it(tmp_path: Path) -> None:
    complaint(lambda: read_json(tmp_path / "a.json", "beyondcam x"), "a.json", "`beyondcam x`")
    (tmp_path / "a.json").write_text("[1, ")
    complaint(lambda: read_json(tmp_path / "a.json", "beyondcam x"), "a.json", "`beyondcam x`")
    (tmp_path / "a.json").write_bytes(b"\xff\xfe[")
    complaint(lambda: read_json(tmp_path / "a.json", "beyondcam x"), "a.json", "`beyondcam x`")


# Working ahead


def test_ahead_gives_what_map_gives_whichever_thread_is_done_first() -> None:
    gate = threading.Event()

    def work(n: int) -> int:
        if n == 0:
            assert gate.wait(10)  # the first is done last
        if n == 1:
            gate.set()
        return n * n

    assert list(ahead(work, range(20))) == [n * n for n in range(20)]
    assert list(ahead(work, [])) == []


def test_ahead_takes_only_a_few_items_before_they_are_asked_for() -> None:
    taken = []

    def items():
        for n in range(100):
            taken.append(n)
            yield n

    results = ahead(lambda n: n, items(), threads=2)
    assert next(results) == 0
    assert len(taken) <= 5
    results.close()


def test_ahead_hands_on_the_error_in_its_place() -> None:
    def work(n: int) -> int:
        if n == 3:
            raise BeyondcamError("three")
        return n

    results = ahead(work, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BeyondcamError, match="three"):
        next(results)
