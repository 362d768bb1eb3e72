"""The store of decisions: what counts, and that nothing said to be done is ever lost."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import beyondcam as bc
from beyondcam.reviews import Reviews, open_reviews
from conftest import complaint, make_folder

MASK = np.zeros((48, 48), np.uint8)
MASK[5:9, 3:7] = 2
MASK[20:30] = 1
MASK[40:, 40:] = 255


@pytest.fixture
def reviews(discs: str, tmp_path: Path) -> Reviews:
    return open_reviews(tmp_path / "run", bc.open_images(discs, "all"))


def again(reviews: Reviews) -> Reviews:
    """The same decisions, read by another process."""
    return open_reviews(reviews.folder.parents[2], reviews.images)


def test_decisions_are_found_again_with_their_masks_who_and_when(reviews: Reviews) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    accepted = reviews.decide(
        "p02", "accepted", "Åsa", mask=MASK, recipe="best", levels={"red": 120}, off=("blue",)
    )
    reviews.decide("p01", "rejected", "Åsa")
    reviews.decide("p00", "corrected", "Bo", mask=MASK.T.copy())
    reviews.decide("p03", "skipped", "Bo")
    there = again(reviews)
    states = {i: decision.state for i, decision in there.current().items()}
    assert states == {"p02": "accepted", "p01": "rejected", "p00": "corrected", "p03": "skipped"}
    found = there.current()["p02"]
    assert found == accepted
    assert (found.who, found.recipe, found.levels, found.off) == ("Åsa", "best", {"red": 120}, ("blue",))
    assert before <= found.when <= before + timedelta(minutes=1)
    assert list(there.masked()) == ["p00", "p02"]
    assert (there.read(found) == MASK).all()
    assert (there.read(there.current()["p00"]) == MASK.T).all()
    complaint(lambda: there.read(there.current()["p01"]), "p01: rejected")
    (file,) = there.folder.glob("masks/p02.*.png")
    with Image.open(file) as picture:
        assert picture.text["Author"] == "Åsa"
        assert datetime.fromisoformat(picture.text["Creation Time"]) == found.when


def test_reading_makes_nothing(reviews: Reviews) -> None:
    assert reviews.current() == {}
    assert not reviews.folder.exists()


def test_undo_brings_back_what_was_decided_before(reviews: Reviews) -> None:
    first = reviews.decide("p02", "corrected", "a", mask=MASK)
    second = reviews.decide("p02", "rejected", "a")
    other = reviews.decide("p01", "skipped", "b")
    reviews.undo(second.key, "a")
    assert again(reviews).current() == {"p02": first, "p01": other}
    reviews.undo(first.key, "a")
    assert again(reviews).current() == {"p01": other}
    assert len((reviews.folder / "decisions.jsonl").read_bytes().splitlines()) == 5
    assert (again(reviews).read(first) == MASK).all()  # nothing is deleted
    complaint(lambda: reviews.undo("0" * 16, "a"), "no decision")


def test_a_mask_is_never_written_over(reviews: Reviews) -> None:
    old = reviews.decide("p02", "corrected", "a", mask=MASK)
    new = reviews.decide("p02", "corrected", "a", mask=MASK[::-1].copy())
    assert (reviews.read(old) == MASK).all()
    assert (reviews.read(new) == MASK[::-1]).all()


@pytest.mark.parametrize("left", [1, 40, -2])
def test_a_line_half_written_at_a_kill_is_dropped(reviews: Reviews, left: int) -> None:
    reviews.decide("p00", "rejected", "a")
    kept = (reviews.folder / "decisions.jsonl").read_bytes()
    reviews.decide("p01", "rejected", "a")
    last = (reviews.folder / "decisions.jsonl").read_bytes()[len(kept) :]
    (reviews.folder / "decisions.jsonl").write_bytes(kept + last[:left])
    after = again(reviews)
    assert set(after.current()) == {"p00"}
    after.decide("p02", "skipped", "a")
    assert set(after.current()) == set(again(reviews).current()) == {"p00", "p02"}


def test_a_last_line_without_its_end_counts_and_is_kept(reviews: Reviews) -> None:
    """As an editor saves the file, once somebody has deleted a line as an error told them to."""
    for i in ("p00", "p01"):
        reviews.decide(i, "rejected", "a")
    file = reviews.folder / "decisions.jsonl"
    file.write_bytes(file.read_bytes().rstrip())
    after = again(reviews)
    assert set(after.current()) == {"p00", "p01"}
    after.decide("p02", "skipped", "a")
    assert set(after.current()) == set(again(reviews).current()) == {"p00", "p01", "p02"}


def test_two_writers_lose_nothing_of_each_other(reviews: Reviews) -> None:
    """Eight threads over two views of the folder, and another process, all of them at once."""
    views = [reviews, again(reviews)]
    code = (
        "import sys, beyondcam as bc; from pathlib import Path; from beyondcam.reviews import open_reviews;"
        "r = open_reviews(Path(sys.argv[1]), bc.open_images(sys.argv[2], 'all'));"
        "[r.decide(i, 'rejected', f'other {n}') for n in range(5) for i in r.images.ids]"
    )
    run = reviews.folder.parents[2]
    other = subprocess.Popen([sys.executable, "-c", code, str(run), reviews.images.data], env=os.environ)

    def decide(n: int) -> str:
        return views[n % 2].decide(reviews.images.ids[n % 8], "accepted", f"own {n}", mask=MASK).key

    with ThreadPoolExecutor(8) as pool:
        keys = list(pool.map(decide, range(40)))
    assert other.wait() == 0
    there = again(reviews)
    there.current()
    assert len(there._decisions) == 80
    assert set(keys) < there._decisions.keys()
    assert views[0].current() == views[1].current() == there.current()


def test_a_killed_process_has_kept_all_that_it_said_was_done(reviews: Reviews) -> None:
    code = (
        "import sys, beyondcam as bc; from pathlib import Path; from beyondcam.reviews import open_reviews;"
        "r = open_reviews(Path(sys.argv[1]), bc.open_images(sys.argv[2], 'all'))\n"
        "while True:\n for i in r.images.ids: print(r.decide(i, 'skipped', 'x').key, flush=True)"
    )
    run = reviews.folder.parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run), reviews.images.data], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline().strip() for _ in range(11)]
        process.kill()
        said += process.stdout.read().split()
    there = again(reviews)
    there.decide("p00", "rejected", "me")
    assert there.current()["p00"].state == "rejected"
    assert {key for key in said if len(key) == 16} <= there._decisions.keys()


def test_decisions_on_a_photo_that_was_replaced_do_not_count(reviews: Reviews) -> None:
    reviews.decide("p01", "corrected", "a", mask=MASK)
    reviews.decide("p02", "rejected", "a")
    path = reviews.images.file_of("p01")
    assert path is not None
    assert not again(reviews).lapsed()
    Image.new("RGB", (48, 48), (1, 2, 3)).save(path)
    assert set(again(reviews).current()) == {"p02"}
    assert "1 masks of humans do not count" in again(reviews).lapsed()
    assert ": p01 (they are kept in " in again(reviews).lapsed()
    reviews.decide("p01", "skipped", "a")  # of the photo as it is now
    assert not again(reviews).lapsed()


def test_decisions_are_found_again_when_the_photos_were_moved(reviews: Reviews, tmp_path: Path) -> None:
    kept = reviews.decide("p01", "corrected", "a", mask=MASK)
    (tmp_path / "discs").rename(tmp_path / "elsewhere")
    run = reviews.folder.parents[2]
    moved = open_reviews(run, bc.open_images(f"folder:{tmp_path / 'elsewhere'}", "all"))
    assert moved.current() == {"p01": kept}
    others = make_folder(tmp_path / "others", 8)
    Image.new("RGB", (48, 48)).save(others / "images/p01.png")
    assert not open_reviews(run, bc.open_images(f"folder:{others}", "all")).current()
    turned = bc.open_images(f"folder:{tmp_path / 'elsewhere'}", "all", ("red", "blue"))
    assert not open_reviews(run, turned).current()


def test_what_cannot_be_decided_is_refused_and_leaves_no_line(reviews: Reviews) -> None:
    complaint(lambda: reviews.decide("p99", "skipped", "a"), "p99: not an image")
    complaint(lambda: reviews.decide("p01", "accepted", "a"), "p01", "accepted or corrected")
    complaint(lambda: reviews.decide("p01", "rejected", "a", mask=MASK), "p01", "accepted or corrected")
    complaint(lambda: reviews.decide("p01", "corrected", "a", mask=MASK[1:]), "48×47", "48×48")
    complaint(lambda: reviews.decide("p01", "corrected", "a", mask=MASK + np.uint8(2)), "mask value 3")
    assert not (reviews.folder / "decisions.jsonl").exists()


def test_an_id_that_leads_out_writes_nothing(reviews: Reviews) -> None:
    odd = replace(reviews.images, ids=("../../../p",), read=lambda _: reviews.images.read("p01"))
    there = open_reviews(reviews.folder.parents[2], odd)
    complaint(lambda: there.decide("../../../p", "corrected", "a", mask=MASK), "leads out")
    assert not there.folder.exists()


def test_names_that_are_no_unicode_are_kept(reviews: Reviews) -> None:
    images = reviews.images
    odd = replace(
        images, ids=("p\udc80\n",), read=lambda _: images.read("p01"), path=lambda _: images.path("p01")
    )
    there = open_reviews(reviews.folder.parents[2], odd)
    made = there.decide("p\udc80\n", "skipped", "\udc80")
    assert Reviews(there.folder, odd, there.sent).current() == {"p\udc80\n": made}


@pytest.mark.parametrize("line", [b"{}", b"null", b'{"undo": 3}', b"[" * 100_000, b"\xff"])
def test_a_line_that_is_no_decision_is_named(reviews: Reviews, line: bytes) -> None:
    reviews.decide("p01", "rejected", "a")
    with (reviews.folder / "decisions.jsonl").open("ab") as file:
        file.write(line + b"\n")
    complaint(lambda: again(reviews).current(), "decisions.jsonl", "delete the line")
