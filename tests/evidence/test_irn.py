"""Files of IRN's kind: what is in them is read, and nothing in them is run."""

import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from shelves import evidence_of, shelf_of

import beyondcam as bc
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import find_shelf, import_irn, irn_bytes, read_irn
from conftest import complaint


def test_files_of_irn_itself_are_read(tmp_path: Path) -> None:
    """As its make_cam.py saves them: tensors of torch for `keys` and `cam`, an array for `high_res`."""
    fine = np.random.default_rng(3).random((3, 10, 14)).astype(np.float32)
    content = {"keys": torch.tensor([2, 7, 11]), "cam": torch.rand(3, 3, 4), "high_res": fine}
    np.save(tmp_path / "a.npy", content)  # type: ignore[arg-type]
    evidence = read_irn(tmp_path / "a.npy", (10, 14), {11: 0, 2: 1})  # 7 is a class that was not kept
    assert evidence.targets == (0, 1)
    assert evidence.maxima == pytest.approx((fine[2].max(), fine[0].max()))
    assert evidence.scores == ()  # a confidence made of NaN would be NaN, which the page's JSON cannot hold
    np.testing.assert_allclose(evidence.levels[1], np.sqrt(fine[0] / fine[0].max()) * 255, atol=0.51)


def test_maps_at_a_quarter_are_means_of_the_fine_ones(tmp_path: Path) -> None:
    """Stripes of a pixel every four, which a sample of the middles would miss."""
    levels = np.zeros((1, 16, 16))
    levels[..., ::4] = 255
    (tmp_path / "a.npy").write_bytes(irn_bytes(evidence_of(levels, (0,)), [5]))
    content = np.load(tmp_path / "a.npy", allow_pickle=True).item()
    assert content["cam"].shape == (1, 4, 4)
    assert content["cam"].mean().item() == pytest.approx(0.25, abs=0.02)


HEADER = irn_bytes(evidence_of(np.zeros((0, 1, 1)), ()), []).partition(b"\n")[0] + b"\n"


class Malice:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_nothing_in_a_file_is_run(tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", {"keys": Malice(tmp_path / "was run")})  # type: ignore[arg-type]
    complaint(lambda: read_irn(tmp_path / "bad.npy", (4, 4), {}), "bad.npy", "no such file needs")
    assert not (tmp_path / "was run").exists()
    np.load(tmp_path / "bad.npy", allow_pickle=True)
    assert (tmp_path / "was run").exists()  # else this test shows nothing


class Forgery:
    def __reduce__(self) -> tuple[object, ...]:
        return np.ndarray, ((1,), "O", b"8 bytes!")  # an object where these bytes say


def test_no_file_can_pass_bytes_for_objects(tmp_path: Path) -> None:
    np.save(tmp_path / "bad.npy", {"keys": Forgery()})  # type: ignore[arg-type]
    complaint(lambda: read_irn(tmp_path / "bad.npy", (4, 4), {}), "bad.npy", "IRN")


class ForgedDtype:
    """A dtype of the bytes of objects that does not say it holds any, so that numpy takes bytes for them."""

    def __init__(self, code: str, state: tuple[object, ...]) -> None:
        self.code, self.state = code, state

    def __reduce__(self) -> tuple[object, ...]:
        return np.dtype, (self.code, False, True), self.state


class ForgedArray:
    def __init__(self, dtype: ForgedDtype) -> None:
        self.dtype = dtype

    def __reduce__(self) -> tuple[object, ...]:
        make, begin, _ = np.zeros(1).__reduce__()
        return make, begin, (1, (1,), self.dtype, False, b"8 bytes!")


INSIDE = {"a": (np.dtype("O"), 0)}


@pytest.mark.parametrize(
    "dtype",
    [
        ForgedDtype("V8", (3, "|", None, ("a",), INSIDE, 8, 1, 16)),
        ForgedDtype("V8", (3, "|", (np.dtype("O"), (1,)), None, None, 8, 1, 0)),
        ForgedDtype("O8", (3, "|", None, None, None, -1, -1, 0)),
        ForgedDtype("i8", (3, "<", None, ("a",), INSIDE, 8, 1, 16)),
    ],
    ids=("fields", "subarray", "objects", "number"),
)
def test_no_dtype_can_pass_bytes_for_objects(tmp_path: Path, dtype: ForgedDtype) -> None:
    """By numpy's own dtypes, the first three of these end the process."""
    maps = np.ones((1, 4, 4), np.float32)
    np.save(tmp_path / "bad.npy", {"keys": ForgedArray(dtype), "high_res": maps})  # type: ignore[arg-type]
    if dtype.code == "i8":  # whose state says nothing that is asked about: the bytes are a number
        assert read_irn(tmp_path / "bad.npy", (4, 4), {}).targets == ()
    else:
        complaint(lambda: read_irn(tmp_path / "bad.npy", (4, 4), {}), "bad.npy")


def test_arrays_of_every_order_are_read(tmp_path: Path) -> None:
    maps = np.random.default_rng(5).random((2, 4, 6))
    for number, own in enumerate((maps.astype(">f4"), np.asfortranarray(maps), maps.astype(np.float16))):
        content = {"keys": np.array([3, 1], ">i2"), "high_res": own}
        np.save(tmp_path / f"{number}.npy", content)  # type: ignore[arg-type]
        evidence = read_irn(tmp_path / f"{number}.npy", (4, 6), {1: 0, 3: 1})
        np.testing.assert_allclose(evidence.maxima, maps.max((1, 2))[::-1], rtol=1e-3)
        expected = np.sqrt(maps[::-1] / maps.max((1, 2), keepdims=True)[::-1]) * 255
        np.testing.assert_allclose(evidence.levels, expected, atol=0.6)


def test_only_classes_that_an_image_is_labelled_with_are_taken_up(discs: str, tmp_path: Path) -> None:
    images = bc.open_images(discs, "all")
    run, folder = tmp_path / "run", tmp_path / "npy"
    shelf_of(discs, run, {})
    folder.mkdir()
    for i in images.ids:
        content = {"keys": [0, 1], "high_res": torch.rand(2, 48, 48, requires_grad=True)}
        np.save(folder / f"{i}.npy", content)  # type: ignore[arg-type]
    unlabelled = replace(images, labels={i: images.labels[i] for i in images.ids[1:]})
    assert import_irn(run, unlabelled, images.classes, folder, "theirs") == {images.ids[0]: "no label"}
    shelf = find_shelf(run, images, "theirs")
    assert all(set(shelf.read(i).targets) == images.labels[i] for i in images.ids[1:])
    assert any(len(images.labels[i]) == 1 for i in images.ids[1:])


def test_a_file_that_lacks_a_label_of_its_image_is_left_out(discs: str, tmp_path: Path) -> None:
    images = bc.open_images(discs, "all")
    shelf_of(discs, tmp_path / "run", {})
    for i in images.ids:
        np.save(tmp_path / f"{i}.npy", {"keys": [0], "cam": torch.rand(1, 12, 12)})  # type: ignore[arg-type]
    left_out = import_irn(tmp_path / "run", images, images.classes, tmp_path, "theirs")
    assert left_out.keys() == {i for i in images.ids if 1 in images.labels[i]}
    assert 0 < len(left_out) < len(images.ids)
    (reason,) = {reason.split(": ")[1] for reason in left_out.values()}
    assert reason == "has no map of red, a label of the image"
    taken = [path.stem for path in tmp_path.glob("run/evidence/all/theirs-*/*.png")]
    assert set(taken) == set(images.ids) - left_out.keys()
    (tmp_path / f"{taken[0]}.npy").unlink()
    assert import_irn(tmp_path / "run", images, images.classes, tmp_path, "theirs").keys() > left_out.keys()
    assert {path.stem for path in tmp_path.glob("run/evidence/all/theirs-*/*.png")} == set(taken[1:])


def test_what_is_imported_under_two_names_is_two_recipes(discs: str, tmp_path: Path) -> None:
    """Else one would be given the threshold of the other."""
    shelf_of(discs, tmp_path / "run", {})
    found = {}
    for split in ("train", "all"):
        images = bc.open_images(discs, split)
        for name in ("irn", "seam"):
            import_irn(tmp_path / "run", images, images.classes, tmp_path, name)
            found[name, split] = find_shelf(tmp_path / "run", images, name).manifest["recipe_hash"]
    assert found["irn", "train"] == found["irn", "all"] != found["seam", "train"] == found["seam", "all"]


@pytest.mark.parametrize("content", [
    b"", b"\x93NUMPY", pickle.dumps({}), b"\x93NUMPY\x01\x00" + bytes(100),
    HEADER + b"\x8d" + b"\xff" * 8, HEADER + b"\x8e" + (2**40).to_bytes(8, "little"),
], ids=range(6))  # fmt: skip
def test_files_that_are_none_are_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    complaint(lambda: read_irn(tmp_path / "a.npy", (4, 4), {}), "a.npy", "IRN")


def test_files_with_bytes_gone_astray_are_read_or_are_one_line(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    contents = (
        {"keys": np.array([1, 3]), "high_res": np.ones((2, 6, 8), np.float32)},
        {"keys": torch.tensor([1, 3]), "cam": torch.ones(2, 3, 4)},
    )
    path, refused = tmp_path / "a.npy", 0
    for number in range(400):
        np.save(path, contents[number % 2])  # type: ignore[arg-type]
        content = bytearray(path.read_bytes())
        for place in rng.integers(8, len(content), 3):
            content[place] = rng.integers(256)
        path.write_bytes(content)
        try:
            read_irn(path, (6, 8), {1: 0, 3: 1})
        except BeyondcamError:
            refused += 1
    assert 50 < refused < 400


def test_arrays_that_are_no_maps_are_one_line(tmp_path: Path) -> None:
    np.save(tmp_path / "plain.npy", np.zeros((3, 4)))
    complaint(lambda: read_irn(tmp_path / "plain.npy", (4, 4), {}), "plain.npy", "no dict")
    endless = {"keys": [1], "high_res": np.full((1, 4, 4), np.inf)}
    np.save(tmp_path / "endless.npy", endless)  # type: ignore[arg-type]
    complaint(lambda: read_irn(tmp_path / "endless.npy", (4, 4), {1: 0}), "endless.npy", "not finite")
    np.save(tmp_path / "odd.npy", {"keys": [1, 2], "high_res": np.zeros((1, 4, 4))})  # type: ignore[arg-type]
    complaint(lambda: read_irn(tmp_path / "odd.npy", (4, 4), {1: 0}), "odd.npy", "keys")


@pytest.mark.parametrize(
    ("shape", "photo", "fits"),
    [
        ((9, 12), (9, 12), True),
        ((3, 3), (9, 12), True),  # a network's square input
        ((94, 125), (375, 500), True),
        ((24, 32), (375, 500), True),
        ((12, 16), (375, 500), True),
        ((500, 375), (375, 500), False),
        ((125, 94), (375, 500), False),
        ((32, 24), (375, 500), False),
        ((9, 12), (12, 12), False),
        ((1, 2), (2, 2), True),  # of two pixels nothing can be said
    ],
)
def test_maps_of_another_shape_are_refused_rather_than_resized(
    tmp_path: Path, shape: tuple[int, int], photo: tuple[int, int], fits: bool
) -> None:
    np.save(tmp_path / "a.npy", {"keys": [1], "cam": np.ones((1, *shape), np.float32)})  # type: ignore[arg-type]
    if fits:
        assert read_irn(tmp_path / "a.npy", photo, {1: 0}).levels.shape[1:] == photo
    else:
        complaint(lambda: read_irn(tmp_path / "a.npy", photo, {1: 0}), "a.npy", "turned")


@pytest.mark.parametrize("maps", [np.ones((2, 2)), np.ones((1, 0, 4)), [[1.0]], "maps", None, 3])
def test_maps_that_are_no_array_of_maps_are_one_line(tmp_path: Path, maps: object) -> None:
    np.save(tmp_path / "a.npy", {"keys": [1], "cam": maps})  # type: ignore[arg-type]
    complaint(lambda: read_irn(tmp_path / "a.npy", (4, 4), {1: 0}), "a.npy")


def test_id_that_leads_out_takes_no_file_from_elsewhere(discs: str, tmp_path: Path) -> None:
    images = bc.open_images(discs, "all")
    shelf_of(discs, tmp_path / "run", {})
    (tmp_path / "npy").mkdir()
    np.save(tmp_path / "p.npy", {"keys": [0], "cam": torch.ones(1, 12, 12)})  # type: ignore[arg-type]
    renamed = replace(
        images, ids=("../p",), labels={"../p": frozenset({0})}, read=lambda _: images.read("p01")
    )
    left_out = import_irn(tmp_path / "run", renamed, images.classes, tmp_path / "npy", "theirs")
    assert "leads out" in left_out["../p"]
