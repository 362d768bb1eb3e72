"""Seeds: void bands, counts, and what is written where."""

import errno
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from shelves import evidence_of, shelf_of

import beyondcam as bc
from beyondcam.data import VOID
from beyondcam.data.masks import Masks
from beyondcam.evidence import Threshold, find_shelf, level_threshold, write_evidence
from beyondcam.files import writing
from beyondcam.label_images import LabelFolder, overlay
from beyondcam.report import write_overview
from beyondcam.reviews import open_reviews
from beyondcam.seeds import seed_labels, write_coco, write_npy, write_seeds
from beyondcam.segment import labels_of_seeds
from conftest import complaint, make_folder, shelf_for


def test_band_leaves_void_what_is_near_the_threshold() -> None:
    evidence = evidence_of(np.array([[[0, 100, 101, 127, 128, 153, 154, 255]]]), (4,))
    tau = level_threshold(127)
    assert seed_labels(evidence, tau).tolist() == [[0, 0, 0, 0, 5, 5, 5, 5]]
    banded = seed_labels(evidence, tau, 26.5 / 255)  # levels 101 to 153
    assert banded.tolist() == [[0, 0, VOID, VOID, VOID, VOID, 5, 5]]
    assert seed_labels(evidence, level_threshold(10), 0.5).min() == 0  # the lower threshold ends at 0


def test_an_overlay_tints_classes_in_their_colours_and_leaves_background_as_it_is() -> None:
    photo = np.array([[(100, 200, 50), (0, 0, 0), (255, 255, 255)]], np.uint8)
    tinted = np.asarray(overlay(photo, np.array([[0, 1, 2]], np.uint8)))
    # VOC's colours of 1 and 2 are (128, 0, 0) and (0, 128, 0), and take 0.55 of a pixel
    assert tinted.tolist() == [[[100, 200, 50], [70, 0, 0], [114, 185, 114]]]


def test_an_overlay_of_a_giant_photo_is_one_that_jpeg_can_hold(tmp_path: Path) -> None:
    photo = bc.Photo.of(torch.zeros(3, 2, 66000, dtype=torch.uint8))
    LabelFolder(tmp_path, ["a"]).write("x", np.ones((2, 66000), np.uint8), photo)
    for file, width in (("overlays/x.jpg", 4096), ("masks/x.png", 66000)):
        with Image.open(tmp_path / file) as picture:
            assert picture.width == width


def test_a_folder_that_cannot_be_written_to_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    complaint(lambda: LabelFolder(tmp_path / "file", ["a"]).begin("all", ["x"]), "file: could not be written")
    for content in ("{", "[1]"):
        (tmp_path / "written.json").write_text(content)
        complaint(lambda: LabelFolder(tmp_path, ["a"]), "written.json", "another folder, or delete this one")


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
    assert told.judged == told.shown == 1
    assert set(told.left_out) == set(images.ids) - {"p01"}
    void = masks.read("p01").clone()
    void[2:4] = VOID  # two rows of which the masks know nothing
    masks = Masks(images.classes, lambda _: void)
    known = write_seeds(images, shelf, level_threshold(127), tmp_path / "seeds", band=0.1, masks=masks)
    assert known.right == pytest.approx(1 - 10 / (48**2 - 20 - 2 * 48))
    without = write_seeds(images, shelf, level_threshold(127), tmp_path / "seeds", band=0.1)
    assert (without.void, without.right) == (told.void, None)


def test_the_area_of_a_class_is_the_median_over_the_seeds_that_show_it(tmp_path: Path) -> None:
    """Of four photos of blue three have a seed, of 5, 10 and 43 of 48 rows."""
    discs, rows = f"folder:{make_folder(tmp_path / 'discs', 16)}", {"p01": 5, "p05": 10, "p09": 43, "p13": 0}
    levels = {i: np.repeat([200, 0], [n, 48 - n])[:, None].repeat(48, 1) for i, n in rows.items()}
    shelf, images = shelf_of(discs, tmp_path / "run", levels)
    told = write_seeds(images, shelf, 0.3, tmp_path / "seeds")
    assert told.areas == {"blue": pytest.approx(10 / 48)}


def test_labelled_photos_with_an_empty_seed_are_named_and_shown_first(discs: str, tmp_path: Path) -> None:
    """p01 and p05 are labelled, p03 shows no class; p02 has a human's mask, which is empty."""
    empty, whole = np.zeros((48, 48)), np.full((48, 48), 200)
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": whole, "p05": empty})
    write_evidence(shelf, "p03", evidence_of(np.zeros((0, 48, 48)), (), (48, 48)))
    reviews = open_reviews(tmp_path / "run", images)
    reviews.decide("p02", "corrected", "me", mask=np.zeros((48, 48), np.uint8))
    written = write_seeds(images, shelf, 0.3, tmp_path / "seeds", reviews=reviews)
    assert written.left_out.keys() == set(images.ids) - {"p01", "p02", "p03", "p05"}
    assert written.empty == ["p05"]
    assert written.empty_seeds(images) == "1 of 3 labelled photos have an empty mask: p05"
    page = write_overview(images, written, tmp_path / "seeds").read_text()
    places = [page.index(f'alt="mask over {i}"') for i in ("p05", "p01", "p02", "p03")]
    assert places == sorted(places)
    assert page.count(": empty mask</small>") == 1
    many = replace(written, empty=[f"p{n}" for n in range(10)])
    assert many.empty_seeds(images).endswith("p8, …")
    assert replace(written, empty=[]).empty_seeds(images) == ""


def test_a_network_does_not_learn_that_what_a_seed_misses_is_background(discs: str, tmp_path: Path) -> None:
    """p01 has a seed, p05 an empty one, p03 is labelled as showing no class."""
    run, whole = tmp_path / "run", np.full((48, 48), 200)
    shelf, images = shelf_of(discs, run, {"p01": whole, "p05": np.zeros((48, 48))})
    write_evidence(shelf, "p03", evidence_of(np.zeros((0, 48, 48)), (), (48, 48)))
    source = labels_of_seeds(run, images, find_shelf(run, images, "own"), "0.3")
    assert (source.labels("p01") == 1).all()
    assert not source.labels("p03").any()
    complaint(lambda: source.labels("p05"), "not trained on: its seed shows nothing")
    open_reviews(run, images).decide("p05", "corrected", "me", mask=np.zeros((48, 48), np.uint8))
    assert not labels_of_seeds(run, images, find_shelf(run, images, "own"), "0.3").labels("p05").any()


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


def test_what_a_human_accepted_or_corrected_is_written_in_place_of_a_seed(discs: str, tmp_path: Path) -> None:
    levels = np.full((48, 48), 200)
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": levels, "p05": levels})
    reviews, mask = open_reviews(tmp_path / "run", images), np.zeros((48, 48), np.uint8)
    mask[:12], mask[40:] = 2, VOID
    reviews.decide("p00", "corrected", "Bo", mask=mask)  # of which there is no evidence
    reviews.decide("p01", "accepted", "Bo", mask=mask.T.copy())
    reviews.decide("p05", "rejected", "Bo")
    said: list[str] = []
    told = write_seeds(
        images,
        shelf,
        0.3,
        tmp_path / "seeds",
        second=(shelf, Threshold(0.3)),
        reviews=reviews,
        log=said.append,
    )
    masks = tmp_path / "seeds" / "masks"
    assert (np.array(Image.open(masks / "p00.png")) == mask).all()
    assert (np.array(Image.open(masks / "p01.png")) == mask.T).all()
    assert (np.array(Image.open(masks / "p05.png")) == 1).all()
    assert said == [f"2 masks are a human's, not of own: 1 accepted, 1 corrected ({reviews.folder})"]
    assert told.worst == ["p05"]  # the trust in a human's is not asked about
    assert told.areas == {"blue": 1.0, "red": 0.25}
    with Image.open(masks / "p00.png") as picture:
        assert (picture.text["Author"], picture.text["Comment"]) == ("Bo", "corrected mask")
    with Image.open(masks / "p05.png") as picture:
        assert not picture.text
    kept = {path: path.read_bytes() for path in reviews.folder.rglob("*.*")}
    write_seeds(images, shelf, 0.9, tmp_path / "seeds", reviews=reviews)
    assert {path: path.read_bytes() for path in reviews.folder.rglob("*.*")} == kept
    assert (np.array(Image.open(masks / "p00.png")) == mask).all()


def test_seeds_stand_beside_no_others_of_other_classes(discs: str, tmp_path: Path) -> None:
    shelf, images = shelf_of(discs, tmp_path / "run", {})
    write_seeds(images, shelf, 0.3, tmp_path / "seeds")
    write_seeds(images, shelf, 0.4, tmp_path / "seeds")
    turned = replace(images, classes=images.classes[::-1])
    complaint(lambda: write_seeds(turned, shelf, 0.3, tmp_path / "seeds"), "out: ", "other classes")


def test_seeds_are_not_written_among_the_photos(tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(root / name / "1.png")
    _, images = shelf_of(f"imagefolder:{root}", tmp_path / "run", {})
    for out in (root, root / "cat" / "out"):
        complaint(lambda out=out: write_seeds(images, None, 0.3, out), "out: ", "lies among the photos")
    assert sorted(path.name for path in root.iterdir()) == ["cat", "dog"]


def test_the_truth_is_not_written_over(discs: str, tmp_path: Path) -> None:
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": np.full((48, 48), 200)})
    seeds = tmp_path / "seeds"
    path = write_coco(images, write_seeds(images, shelf, 0.25, seeds).left_out, seeds)
    spec = f"coco:{tmp_path / 'discs' / 'images'}:{path}"
    again = bc.open_images(spec, "all")
    own = shelf_for(tmp_path / "run", again, "own", recipe="cam")
    complaint(lambda: write_seeds(again, own, 0.25, seeds), "out: ", "truth")
    assert write_seeds(again, own, 0.25, tmp_path / "others").left_out


@pytest.mark.parametrize(
    "kind",
    ["masks/p01.png", "overlays/p02.jpg", "npy/p03.npy", "instances.json", "index.html", "predictions.csv",
     "confidence-all.csv"],
)  # fmt: skip
def test_files_of_others_are_not_written_over(discs: str, tmp_path: Path, kind: str) -> None:
    """The user's own masks, say, beside which there is nothing that tells what they are."""
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": np.full((48, 48), 200)})
    there = tmp_path / "mine" / kind
    there.parent.mkdir(parents=True)
    there.write_bytes(b"drawn by hand")
    complaint(lambda: write_seeds(images, shelf, 0.25, tmp_path / "mine"), "out: ", there.name)
    assert there.read_bytes() == b"drawn by hand"
    assert [path for path in (tmp_path / "mine").rglob("*") if path.is_file()] == [there]


def test_photos_are_not_written_over_whatever_folder_is_named(discs: str, tmp_path: Path) -> None:
    """Photos in a folder called masks, whose names are those of the seeds."""
    shelf_of(discs, tmp_path / "run", {})
    folder = Path(discs.removeprefix("folder:"))
    (folder / "images").rename(folder / "masks-to-be")
    out = tmp_path / "coco"
    out.mkdir()
    (folder / "masks-to-be").rename(out / "masks")
    entries = [{"id": n, "file_name": f"p{n:02d}.png"} for n in range(8)]
    for entry in entries:
        (out / "masks" / entry["file_name"]).rename(out / "masks" / f"{entry['id']}.png")
        entry["file_name"] = f"{entry['id']}.png"
    content = {"images": entries, "categories": [{"id": 1, "name": "a"}], "annotations": []}
    (tmp_path / "all.json").write_text(json.dumps(content))
    images = bc.open_images(f"coco:{out / 'masks'}:{tmp_path / 'all.json'}", "all")
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    shelf = shelf_for(tmp_path / "run", images, "own", recipe="cam", targets="predicted")
    write_evidence(shelf, "1", evidence_of(np.full((1, 48, 48), 200), (0,)))
    complaint(lambda: write_seeds(images, shelf, 0.25, out), "out: ", "0.png")
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == before


def test_an_id_that_leads_out_is_left_out_and_writes_nothing(discs: str, tmp_path: Path) -> None:
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": np.full((48, 48), 200)})
    odd = {"../../p": "p01", "/tmp/p": "p01", "a/../../p": "p01", "": "p01", "a\nb": "p01", "C:p": "p01"}
    for i in odd:
        write_evidence(shelf, i, shelf.read("p01"))
    renamed = replace(images, ids=(*odd, "p01"), read=lambda i: images.read(odd.get(i, i)))
    out = tmp_path / "deep" / "er" / "out"
    told = write_seeds(renamed, shelf, 0.25, out)
    write_npy(renamed, images.classes, shelf, told.left_out, out)
    assert told.left_out.keys() == odd.keys()
    made = {path.relative_to(out).as_posix() for path in (tmp_path / "deep").rglob("*") if path.is_file()}
    assert made == {"masks/p01.png", "overlays/p01.jpg", "npy/p01.npy", "classes.txt", "written.json"}


def test_a_disk_that_is_full_costs_no_earlier_seed(
    discs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": np.full((48, 48), 200)})
    out = tmp_path / "out"
    write_seeds(images, shelf, 0.25, out)
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    assert before

    def full(self: LabelFolder, *_: object) -> None:
        with writing(self.out):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(LabelFolder, "write", full)
    complaint(lambda: write_seeds(images, shelf, 0.9, out), "No space left on device")
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == before


def test_what_lapsed_is_said_where_seeds_take_the_place_of_masks(discs: str, tmp_path: Path) -> None:
    shelf, images = shelf_of(discs, tmp_path / "run", {"p01": np.full((48, 48), 200)})
    reviews = open_reviews(tmp_path / "run", images)
    reviews.decide("p02", "corrected", "eva", mask=np.zeros((48, 48), np.uint8))
    photo = images.file_of("p02")
    assert photo is not None
    with photo.open("ab") as file:
        file.write(b"what a program notes of its own")
    said: list[str] = []
    write_seeds(images, shelf, 0.25, tmp_path / "out", reviews=reviews, log=said.append)
    assert [line for line in said if "do not count" in line]


def test_seeds_of_photos_that_are_gone_go_and_those_of_other_splits_stay(tmp_path: Path) -> None:
    discs = f"folder:{make_folder(tmp_path / 'discs', 60)}"
    levels = dict.fromkeys((f"p{n:02d}" for n in range(60)), np.full((48, 48), 200))
    run, out, folder = tmp_path / "run", tmp_path / "out", Path(discs.removeprefix("folder:"))
    shelf_of(discs, run, {})
    said: list[str] = []

    def seed(split: str) -> set[str]:
        images = bc.open_images(discs, split)
        shelf = shelf_for(run, images, "own", recipe="cam")
        for i in images.ids:
            if images.labels[i] == {0}:
                write_evidence(shelf, i, evidence_of(levels[i][None], (0,)))
        write_seeds(images, find_shelf(run, images, "own"), 0.25, out, log=said.append)
        return {path.stem for path in (out / "masks").iterdir()}

    train, val = bc.open_images(discs, "train"), bc.open_images(discs, "val")
    blue = {split.split: {i for i in split.ids if split.labels[i] == {0}} for split in (train, val)}
    assert all(blue.values())
    assert seed("train") == blue["train"]
    assert seed("val") == blue["train"] | blue["val"]
    gone, broken = sorted(blue["train"])[:2]
    (folder / "images" / f"{gone}.png").unlink()
    (folder / "labels.csv").write_text((folder / "labels.csv").read_text().replace(f"{gone}.png,blue\n", ""))
    (folder / "images" / f"{broken}.png").write_bytes(b"broken")
    assert not said
    assert seed("train") == (blue["train"] | blue["val"]) - {gone, broken}
    assert {path.stem for path in (out / "overlays").iterdir()} == (blue["train"] | blue["val"]) - {
        gone,
        broken,
    }
    assert len(said) == 1
    assert gone in said[0]
    assert broken in said[0]


def test_lists_of_what_was_written_by_several_at_once_are_put_together(tmp_path: Path) -> None:
    def begin(split: str) -> None:
        for n in range(20):
            LabelFolder(tmp_path, ("a",)).begin(split, [f"{split}-{n}"])

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(begin, ("one", "two", "three")))
    assert len(LabelFolder(tmp_path, ("a",)).names()) == 60
