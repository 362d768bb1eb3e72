"""Seeds: thresholds that need no mask or few, void bands, and files for other programs."""

import io
import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import beyondcam as bc
from beyondcam.cli.options import classes_of_keys
from beyondcam.data import VOID
from beyondcam.data.masks import Masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import (
    SAMPLE,
    WITNESSES,
    Evidence,
    Shelf,
    Winners,
    find_shelf,
    import_irn,
    irn_bytes,
    level_threshold,
    open_shelf,
    read_irn,
    witnessed,
)
from beyondcam.evidence.store import write_evidence
from beyondcam.metrics import band_of, threshold_of
from beyondcam.metrics.consensus import Pair, agreed_levels, consensus
from beyondcam.metrics.rows import write_records
from beyondcam.seeds import seed_labels, write_coco, write_npy, write_seeds
from conftest import complaint, make_folder, shelf_for
from rows import score_row


def evidence_of(
    levels: np.ndarray, targets: tuple[int, ...], size: tuple[int, int] | None = None
) -> Evidence:
    k = len(targets)
    return Evidence(levels.astype(np.uint8), targets, (1.0,) * k, (0.0,) * k, size or levels.shape[1:])


# A threshold without masks


@st.composite
def pairs(draw: st.DrawFn) -> list[Pair]:
    """Winners of two recipes on a few images of nine pixels; what has no label has no level."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        labels = rng.integers(0, 3, (2, 3, 3)).astype(np.uint8)
        levels = rng.choice([0, 1, 90, 200, 255], (2, 3, 3)).astype(np.uint8) * (labels > 0)
        found.append((Winners(labels[0], levels[0]), Winners(labels[1], levels[1])))
    return found


def agreement(found: list[Pair], i: int, j: int) -> float:
    """Pixel by pixel: the IoU of two seeds, a mean over the labels that win, times their background's."""
    a, b = (
        [k for w in own for k in np.where(w.levels > least, w.labels, 0).flat]
        for own, least in zip(zip(*found, strict=True), (i, j), strict=True)
    )
    known = {k for pair in found for w in pair for k in w.labels.flat} - {0}
    ious = {}
    for k in (0, *known):
        both, either = (sum(how((x == k, y == k)) for x, y in zip(a, b, strict=True)) for how in (all, any))
        ious[k] = both / either if either else 0.0
    return sum(ious[k] for k in known) / len(known) * ious[0] if known else 0.0


@given(pairs())
def test_agreed_levels_agree_best_pixel_by_pixel(found: list[Pair]) -> None:
    best = max(agreement(found, i, j) for i in (0, 1, 90, 200, 255) for j in (0, 1, 90, 200, 255))
    assert agreement(found, *agreed_levels(found)) == pytest.approx(best)


@pytest.fixture
def discs(tmp_path: Path) -> str:
    return f"folder:{make_folder(tmp_path / 'discs', 8)}"


def shelf_of(discs: str, run: Path, levels_of: dict[str, np.ndarray]) -> tuple[Shelf, bc.LabelledImages]:
    """Evidence of class 0 for some of the discs."""
    run.mkdir(exist_ok=True)
    (run / "classifier.safetensors").write_bytes(b"only hashed")
    images = bc.open_images(discs, "all")
    shelf = shelf_for(run, images, "own", recipe="cam")
    for i, levels in levels_of.items():
        write_evidence(shelf, i, evidence_of(levels[None], (0,)))
    return shelf, images


def witnesses_say(discs: str, run: Path, levels_of: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Evidence of class 0 of both witnesses."""
    asked = witnessed(bc.open_images(discs, "all"), "labels")
    for n, name in enumerate(WITNESSES):
        shelf = shelf_for(run, asked, name)
        for i, levels in levels_of.items():
            write_evidence(shelf, i, evidence_of(levels[n][None], (0,)))


def test_blind_is_the_best_threshold_on_what_the_witnesses_agree_on_and_sees_no_mask(
    discs: str, tmp_path: Path
) -> None:
    """The left half stands at 150 on a ground of 90; a strip at 120 is an object by one witness alone."""
    run = tmp_path / "run"
    place = np.indices((48, 48))[1]
    strip = (place >= 24) & (place < 30)
    own = np.where(place < 24, 150, np.where(strip, 120, 90))
    shelf, images = shelf_of(discs, run, {"p01": own, "p05": own})
    complaint(
        lambda: threshold_of(run, shelf, images, "blind"), "`beyondcam map` makes them (with targets labels"
    )
    one, other = np.where(place < 30, 210, 40), np.where(place < 24, 180, 60)
    witnesses_say(discs, run, {"p01": (one, other)})
    complaint(
        lambda: threshold_of(run, shelf, images, "blind"), "1 of 2 images of split all have no witnesses yet"
    )
    witnesses_say(discs, run, {"p05": (one, other)})
    assert threshold_of(run, shelf, images, "blind") == level_threshold(90)  # the strip is void
    witnesses_say(discs, run, {"p05": (other, other)})
    assert threshold_of(run, shelf, images, "blind") == level_threshold(120)
    for mask in (tmp_path / "discs" / "masks").iterdir():
        mask.unlink()
    assert threshold_of(run, shelf, images, "blind") == level_threshold(120)


def test_what_the_witnesses_call_by_two_names_is_void_and_a_class_that_is_all_void_draws_no_threshold(
    discs: str, tmp_path: Path
) -> None:
    """Rows 0–9 are blue, rows 10–11 red by one witness and blue by the other; the rest is ground.

    The recipe calls two rows of the ground red, at 120. Were red counted while it is predicted, though
    nothing of it is agreed on, the best threshold would be the one past which there is none.
    """
    run = tmp_path / "run"
    row = np.indices((48, 48))[0]
    blue = np.where(row < 5, 150, np.where(row < 10, 100, 20))
    shelf, images = shelf_of(discs, run, {})
    write_evidence(shelf, "p02", evidence_of(np.stack([blue, np.where(row >= 46, 120, 0)]), (0, 1)))
    asked = witnessed(images, "labels")
    for name, strip in zip(WITNESSES, (0, 1), strict=True):
        levels = np.stack([np.where((row < 10) | ((row < 12) & (strip == k)), 200, 0) for k in (0, 1)])
        levels[1, :10] = 0
        write_evidence(shelf_for(run, asked, name), "p02", evidence_of(levels, (0, 1)))
    agreed = consensus(run, images, shelf)
    assert agreed is not None
    assert agreed.masks.read("p02").unique(return_counts=True)[1].tolist() == [36 * 48, 10 * 48, 2 * 48]
    assert threshold_of(run, shelf, images, "blind") == level_threshold(20)


@pytest.mark.parametrize(("lowest", "tau"), [(0, level_threshold(128)), (-170, level_threshold(30))])
def test_blind_leaves_as_much_void_as_the_witnesses_disagree_about(
    discs: str, tmp_path: Path, lowest: int, tau: float
) -> None:
    """They do about twelve columns of 48; what is below 0 on the ramp has no evidence, and is background."""
    run = tmp_path / "run"
    ramp = np.linspace(lowest, 255, 48**2).round().clip(0).reshape(48, 48)
    shelf, images = shelf_of(discs, run, {"p01": ramp})
    place = np.indices((48, 48))[1]
    witnesses_say(discs, run, {"p01": (np.where(place < 36, 210, 0), np.where(place < 24, 210, 0))})

    def void(band: float) -> float:
        return (seed_labels(shelf.read("p01"), tau, band) == VOID).mean()

    least = min(n / 255 for n in range(256) if void(n / 255) >= 12 / 48)
    assert band_of(run, shelf, images, "blind", tau) == pytest.approx(least)
    assert void(least) == pytest.approx(12 / 48, abs=2 / 256)  # by whole levels
    assert void(1.0) == (ramp > 0).mean()
    everywhere = np.full((48, 48), 210)
    witnesses_say(discs, run, {"p01": (np.where(place < 4, everywhere, 0), everywhere)})
    assert void(band_of(run, shelf, images, "blind", tau)) >= min(44 / 48, (ramp > 0).mean())
    assert band_of(run, shelf, images, "0.3", tau) == 0.3
    complaint(lambda: band_of(run, shelf, images, "wide", tau), "void: wide: write a value between 0 and 1")
    complaint(lambda: band_of(run, shelf, images, "1.5", tau), "void: 1.5")


def test_witnesses_are_asked_about_some_images_that_have_a_target(discs: str) -> None:
    images = bc.open_images(discs, "all")
    labels = {i: own for i, own in images.labels.items() if i != "p03"} | {"p05": frozenset[int]()}
    many = replace(images, ids=tuple(f"n{n}" for n in range(1000)))
    asked = witnessed(replace(images, labels=labels), "labels")
    assert asked.ids == tuple(i for i in images.ids if labels.get(i))
    assert not {"p03", "p05"} & set(asked.ids)
    assert asked.split != images.split  # so that no score takes them for evidence of the split
    assert witnessed(many, "labels").ids == ()
    drawn = witnessed(many, "predicted").ids
    assert (len(drawn), drawn[0], drawn[-1]) == (SAMPLE, "n0", "n992")


def test_threshold_of_a_few_masked_images_is_the_best_on_these(discs: str, tmp_path: Path) -> None:
    """Blue lies at 200 in p01 on a ground of 50, in p02 at 120 on a ground of 90."""
    masks = bc.open_masks(discs, "all")
    assert masks is not None
    blue = {i: masks.read(i).numpy() == 1 for i in ("p01", "p02")}
    levels = {"p01": np.where(blue["p01"], 200, 50), "p02": np.where(blue["p02"], 120, 90)}
    shelf, images = shelf_of(discs, tmp_path / "run", levels)

    def tau(text: str) -> float:
        return threshold_of(tmp_path / "run", shelf, images, text, masks)

    assert tau("few:p01") == level_threshold(50)
    assert tau("few:p02") == tau("few: p01, p02") == level_threshold(90)
    complaint(lambda: tau("few:p01,p99"), "few:p01,p99")
    complaint(lambda: tau("few:p01,p03"), "p03 is not mapped")
    complaint(lambda: tau("few:p03"), "beyondcam map")
    assert tau("few:p02,p02,p02,p01") == tau("few:p01,p02")
    for mask, what in (
        (torch.zeros(48, 48), "no object in these masks"),
        (torch.full((48, 48), VOID), "no object in these masks"),
        (torch.zeros(9, 9), "p01"),
    ):
        own = Masks(images.classes, lambda _, mask=mask: mask.byte())
        complaint(lambda own=own: threshold_of(tmp_path / "run", shelf, images, "few:p01", own), what)


def test_a_threshold_of_a_rule_is_the_one_answer_that_the_split_may_take(discs: str, tmp_path: Path) -> None:
    shelf, images = shelf_of(discs, tmp_path, {})

    def tau(rule: str, *rows: tuple[str, str, float]) -> float:
        facts = {key: shelf.manifest[key] for key in ("recipe_hash", "checkpoint")}
        write_records(tmp_path / "scores.json", [
            score_row(
                "cam", 0.5, rule, recipe=shelf.name, data=images.data, split=split, threshold=value,
                chosen_on={"split": on} if on else None, **facts,
            )
            for split, on, value in rows
        ])  # fmt: skip
        return threshold_of(tmp_path, shelf, images, rule)

    assert tau("train", ("val", "train", 0.25), ("other", "train", 0.25)) == 0.25
    assert tau("train", ("val", "train", 0.25), ("train", "all", 0.5)) == 0.25  # the other saw these masks
    complaint(lambda: tau("train", ("train", "all", 0.5)), "no such row of own that split all may take")
    complaint(lambda: tau("train", ("val", "", 0.5)), "no such row")  # of an older version
    complaint(lambda: tau("train", ("val", "train", 0.25), ("val", "part", 0.5)), "0.250 of split train, τ")
    assert tau("few", ("val", "all", 0.5)) == 0.5
    assert tau("oracle", ("val", "", 0.25), ("all", "", 0.5)) == 0.5


# Void


def test_band_leaves_void_what_is_near_the_threshold() -> None:
    evidence = evidence_of(np.array([[[0, 100, 101, 127, 128, 153, 154, 255]]]), (4,))
    tau = level_threshold(127)
    assert seed_labels(evidence, tau).tolist() == [[0, 0, 0, 0, 5, 5, 5, 5]]
    banded = seed_labels(evidence, tau, 26.5 / 255)  # levels 101 to 153
    assert banded.tolist() == [[0, 0, VOID, VOID, VOID, VOID, 5, 5]]
    assert seed_labels(evidence, level_threshold(10), 0.5).min() == 0  # the lower threshold ends at 0


def test_seeds_say_how_much_is_void_and_how_right_the_rest_is(discs: str, tmp_path: Path) -> None:
    masks = bc.open_masks(discs, "all")
    assert masks is not None
    right = np.where(masks.read("p01").numpy() == 1, 200, 0)
    right[0, :10] = 200  # ten pixels of background called blue
    right[1, :20] = 127  # twenty on the threshold
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": right})
    told = write_seeds(images, shelf, level_threshold(127), tmp_path / "seeds", band=0.1, masks=masks)
    assert told.void == 20 / 48**2
    assert told.right == pytest.approx(1 - 10 / (48**2 - 20))
    assert told.judged == 1
    assert set(told.left_out) == set(images.ids) - {"p01"}
    without = write_seeds(images, shelf, level_threshold(127), tmp_path / "seeds", band=0.1)
    assert (without.void, without.right) == (told.void, None)


def test_seeds_are_of_the_photo_and_the_labels_as_they_are_now(discs: str, tmp_path: Path) -> None:
    """Four were mapped as blue: p01 is; p02 is blue and red by now; p04 has no line; p05 is another photo."""
    levels = np.full((48, 48), 200)
    shelf_of(discs, tmp_path / "run", dict.fromkeys(("p01", "p02", "p04", "p05"), levels))
    folder = Path(discs.removeprefix("folder:"))
    Image.new("RGB", (48, 47)).save(folder / "images" / "p05.png")
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("p04.png,red\n", ""))
    images = bc.open_images(discs, "all")
    left_out = write_seeds(images, find_shelf(tmp_path / "run", images, "own"), 0.3, tmp_path / "s").left_out
    assert set(images.ids) - left_out.keys() == {"p01"}
    assert left_out["p05"].startswith("its labels are 48×48 pixels, the image 48×47")
    assert "other labels now" in left_out["p02"]
    assert "no label" in left_out["p04"]


def test_seeds_stand_beside_no_others_of_other_classes(discs: str, tmp_path: Path) -> None:
    shelf, images = shelf_of(discs, tmp_path / "run", {})
    write_seeds(images, shelf, 0.3, tmp_path / "seeds")
    write_seeds(images, shelf, 0.4, tmp_path / "seeds")
    turned = replace(images, classes=images.classes[::-1])
    complaint(lambda: write_seeds(turned, shelf, 0.3, tmp_path / "seeds"), "--out", "other classes")


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
    both = "several", "--targets labels", "--targets predicted", str(found.folder)
    complaint(lambda: find_shelf(tmp_path / "run", images, "own"), *both)


# Files for other programs


def test_the_truth_is_not_written_over(discs: str, tmp_path: Path) -> None:
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": np.full((48, 48), 200)})
    seeds = tmp_path / "seeds"
    path = write_coco(images, write_seeds(images, shelf, 0.25, seeds).left_out, seeds)
    spec = f"coco:{tmp_path / 'discs' / 'images'}:{path}"
    again = bc.open_images(spec, "all")
    own = shelf_for(tmp_path / "run", again, "own", recipe="cam")
    complaint(lambda: write_seeds(again, own, 0.25, seeds), "--out", "truth")
    assert write_seeds(again, own, 0.25, tmp_path / "others").left_out


def test_coco_file_read_back_gives_the_seeds(discs: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    levels = {f"p{n:02d}": rng.integers(0, 256, (48, 48)) for n in (1, 2)}
    shelf, images = shelf_of(discs, tmp_path / "run", levels)
    seeds = tmp_path / "seeds"
    (seeds / "masks").mkdir(parents=True)
    (seeds / "masks" / "p03.png").write_bytes(b"left there by an earlier run")
    written = write_seeds(images, shelf, 0.25, seeds)
    path = write_coco(images, written.left_out, seeds)
    told = [(image["id"], image["file_name"]) for image in json.loads(path.read_text())["images"]]
    assert told == [(2, "p01.png"), (3, "p02.png")]  # places among all images, whichever are left out
    spec = f"coco:{tmp_path / 'discs' / 'images'}:{path}"
    again, masks = bc.open_images(spec, "all"), bc.open_masks(spec, "all")
    assert masks is not None
    assert again.classes == images.classes
    for number, i in zip(again.ids, levels, strict=True):
        assert np.array_equal(masks.read(number), np.asarray(Image.open(seeds / "masks" / f"{i}.png")))
        assert torch.equal(again.read(number).pixels, images.read(i).pixels)


def test_npy_files_hold_what_irn_expects(discs: str, tmp_path: Path) -> None:
    levels = np.random.default_rng(2).integers(0, 256, (48, 48))
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": levels})
    write_npy(images, ["green", *images.classes], shelf, set(images.ids) - {"p01"}, tmp_path)
    assert [path.name for path in (tmp_path / "npy").iterdir()] == ["p01.npy"]
    content = np.load(tmp_path / "npy" / "p01.npy", allow_pickle=True).item()  # as IRN's code reads it
    assert content["keys"].tolist() == [1]  # as the data's own classes count, not the RUN's
    assert content["cam"].shape == (1, 12, 12)
    np.testing.assert_allclose(content["high_res"][0], (levels / 255) ** 2, rtol=1e-5)
    again = read_irn(tmp_path / "npy" / "p01.npy", (48, 48), {1: 0})
    assert np.array_equal(again.levels, np.rint(levels / levels.max() * 255)[None])


def test_what_is_written_is_taken_up_again_where_few_classes_are_kept(discs: str, tmp_path: Path) -> None:
    _, every = shelf_of(discs, tmp_path / "run", {})
    images = bc.open_images(discs, "all", ["red"])
    shelves = [
        open_shelf(
            tmp_path / "run", images, targets="labels", precision="float32", name=name, recipe=recipe, seed=0
        )
        for name, recipe in (("own", "own"), ("again", "again, read from .npy files"))
    ]
    write_evidence(shelves[0], "p00", evidence_of(np.arange(48**2).reshape(1, 48, 48) % 256, (0,)))
    others = {*images.ids} - {"p00"}
    write_npy(images, every.classes, shelves[0], others, tmp_path)
    assert import_irn(tmp_path / "run", images, every.classes, tmp_path / "npy", "again").keys() == others
    own, again = (shelf.read("p00") for shelf in shelves)
    assert own.targets == again.targets == (0,)
    assert np.array_equal(own.levels, again.levels)


def test_keys_count_the_classes_of_the_data_where_it_knows_them_all(discs: str, tmp_path: Path) -> None:
    assert classes_of_keys(bc.open_images(discs, "all", ["red"])) == ("blue", "red")
    (tmp_path / "discs" / "labels.csv").write_text("image,labels\np01.png,blue\n")  # of a RUN that knows more
    assert classes_of_keys(bc.open_images(discs, "all", ["red", "blue"])) == ("red", "blue")
    (tmp_path / "discs" / "labels.csv").unlink()
    assert classes_of_keys(bc.open_images(discs, "all", ["red", "blue"])) == ("red", "blue")


def test_an_image_of_no_class_has_a_file_of_no_maps(tmp_path: Path) -> None:
    (tmp_path / "a.npy").write_bytes(irn_bytes(evidence_of(np.zeros((0, 6, 9)), ()), [0]))
    content = np.load(tmp_path / "a.npy", allow_pickle=True).item()
    assert (content["cam"].shape, content["high_res"].shape) == ((0, 2, 3), (0, 6, 9))
    assert read_irn(tmp_path / "a.npy", (6, 9), {0: 0}).levels.shape == (0, 6, 9)


def test_files_of_irn_itself_are_read(tmp_path: Path) -> None:
    """As its make_cam.py saves them: tensors of torch for `keys` and `cam`, an array for `high_res`."""
    fine = np.random.default_rng(3).random((3, 10, 14)).astype(np.float32)
    content = {"keys": torch.tensor([2, 7, 11]), "cam": torch.rand(3, 3, 4), "high_res": fine}
    np.save(tmp_path / "a.npy", content)  # type: ignore[arg-type]
    evidence = read_irn(tmp_path / "a.npy", (10, 14), {11: 0, 2: 1})  # 7 is a class that was not kept
    assert evidence.targets == (0, 1)
    assert evidence.maxima == pytest.approx((fine[2].max(), fine[0].max()))
    np.testing.assert_allclose(evidence.levels[1], np.sqrt(fine[0] / fine[0].max()) * 255, atol=0.51)


def test_names_of_older_numpy_are_known(tmp_path: Path) -> None:
    buffer = io.BytesIO(irn_bytes(evidence_of(np.full((1, 4, 4), 9), (0,)), [0]))
    old = buffer.getvalue().replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    assert old != buffer.getvalue()
    unframed = bytearray(old)
    start = unframed.index(b"\x80\x04\x95")  # a frame is as long as it says
    length = int.from_bytes(unframed[start + 3 : start + 11], "little")
    unframed[start + 3 : start + 11] = (length - 1).to_bytes(8, "little")
    (tmp_path / "old.npy").write_bytes(bytes(unframed))
    assert read_irn(tmp_path / "old.npy", (4, 4), {0: 0}).targets == (0,)


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
