"""The whole job on somebody's photos: folders of classes in, masks and a page of them out."""

import csv
import json
from html import escape
from pathlib import Path

import numpy as np
import pytest
from lightning_fabric import Fabric
from PIL import Image

from beyondcam.classifier import TrainConfig
from beyondcam.data import open_images
from beyondcam.errors import BeyondcamError
from beyondcam.files import write_json
from beyondcam.job import make_masks
from beyondcam.reviews import open_reviews
from beyondcam.segmentation import SegmentConfig
from conftest import Command, call, complaint, one_line

QUICK = ("--backbone", "convnet", "--no-pretrained", "--size", "32", "--epochs", "2", "--batch", "4")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Ten red photos, ten blue ones, and one that lies in no folder."""
    rng = np.random.default_rng(0)
    for name, channel in (("red <b>", 0), ("blue", 2)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for n in range(10):
            pixels = rng.integers(0, 60, (24, 30, 3), np.uint8)
            pixels[6:18, 8:22, channel] += 150
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{n}.png")
    Image.fromarray(pixels).save(tmp_path / "photos" / "new.png")
    return tmp_path / "photos"


def test_masks_are_made_shown_and_gone_on_with(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("beyondcam.segmentation.config.LEAST_STEPS", 1)  # networks of 12 passes
    out = tmp_path / "out"
    words = ("masks", photos, "--out", out, "--best", "--network", *QUICK)
    assert call(*words) == 0
    said = capsys.readouterr().err
    assert "for 21 photos on this machine" in said
    assert f"{photos}: is imagefolder:{photos}" in said
    assert str(out / "index.html") in said
    assert "mAP on held-out photos (2) " in said
    assert "(--size)" in said
    ids = {path.relative_to(photos).with_suffix("").as_posix() for path in photos.rglob("*.png")}
    written = (out / "masks").rglob("*.png")
    assert {path.relative_to(out / "masks").with_suffix("").as_posix() for path in written} == ids
    own = out / "network" / "masks"
    assert {path.relative_to(own).with_suffix("").as_posix() for path in own.rglob("*.png")} == ids
    assert str(own) in said
    with (out / "confidence-all.csv").open() as file:
        confident = dict.fromkeys(row["image"] for row in csv.DictReader(file))  # in order
    page = (out / "index.html").read_text()
    assert "red <b>" not in page
    places = [page.index(f'alt="mask over {escape(i)}"') for i in confident]
    assert places == sorted(places)
    mask, weights = out / "masks" / "blue" / "3.png", out / "run" / "classifier.safetensors"
    before = mask.read_bytes(), weights.stat().st_mtime_ns
    mask.unlink()
    assert call(*(word for word in words if word != "--best")) == 0
    said = capsys.readouterr().err
    assert "which is taken" in said
    assert "has evidence of `best`" in said
    assert (mask.read_bytes(), weights.stat().st_mtime_ns) == before
    Image.open(photos / "new.png").save(photos / "newer.png")  # the network is of other masks then
    assert call(*words) == 0
    assert (own / "newer.png").exists()
    assert call("masks", photos, "--out", out, "--fast") == 0
    assert mask.read_bytes() != before[0]


def test_masks_are_shown_where_a_network_cannot_be_trained_on_them(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[SegmentConfig] = []

    def train(run: Path, source: object, config: SegmentConfig, *_: object, **__: object) -> None:
        asked.append(config)
        raise BeyondcamError("the loss is nan in epoch 1; lower it", parameter="lr")

    monkeypatch.setattr("beyondcam.job.segment_run", train)
    words = ("masks", photos, "--out", tmp_path / "out", "--network", "--no-flip", *QUICK)
    complaint(lambda: call(*words), "the masks are made, but no network: lr: the loss is nan")
    assert "21 masks; open" in capsys.readouterr().err
    assert [(config.flip, config.pretrained) for config in asked] == [(False, False)]


def test_a_photo_that_breaks_later_is_left_out_and_stops_nothing(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("masks", photos, "--out", tmp_path / "out")
    assert call(*words, *QUICK) == 0
    (photos / "blue" / "2.png").write_bytes(b"no photo any more")
    assert call(*words) == 1
    said = capsys.readouterr().err
    assert "20 masks; open" in said
    assert f"left out: blue/2: {photos / 'blue' / '2.png'}: not readable as an image" in said
    assert not (tmp_path / "out" / "masks" / "blue" / "2.png").exists()
    record = tmp_path / "out" / "run" / "training.json"
    write_json(record, json.loads(record.read_text()) | {"doubt": "it tells nothing apart"})
    assert call(*words) == 1
    assert "the classifier has learnt nothing: it tells nothing apart" in capsys.readouterr().err


def test_masks_are_not_written_among_the_photos(photos: Path, here: Command) -> None:
    for out in (photos, photos / "masks"):
        assert "--out: " in one_line(here("masks", photos, "--out", out, *QUICK, status=2))
    assert not (photos / "masks").exists()


def test_links_to_photos_lie_where_they_are_named(tmp_path: Path) -> None:
    """The folder of photos is that of the links, wherever the files lie that they lead to."""
    (tmp_path / "kept").mkdir()
    Image.new("RGB", (9, 9)).save(tmp_path / "kept" / "1.png")
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "cat" / "1.png").symlink_to(tmp_path / "kept" / "1.png")
    given = TrainConfig(data=str(tmp_path / "photos"), size=1000, backbone="none")
    for out, said in (("photos/out", "lies among the photos"), ("out", "backbone")):
        complaint(lambda out=out: make_masks(given, tmp_path / out, Fabric(), print), said)


def test_photos_that_were_moved_are_gone_on_with_and_others_of_the_same_names_are_not(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, new = tmp_path / "out", tmp_path / "new place"
    weights, mask = out / "run" / "classifier.safetensors", out / "masks" / "blue" / "3.png"
    assert call("masks", photos, "--out", out, *QUICK) == 0
    before = weights.stat().st_mtime_ns, mask.read_bytes()
    photos.rename(new)
    mask.unlink()
    capsys.readouterr()
    assert call("masks", new, "--out", out) == 0
    said = capsys.readouterr().err
    assert f"moved here from imagefolder:{photos}" in said
    assert "(--data)" in said
    assert (weights.stat().st_mtime_ns, mask.read_bytes()) == before
    for path in new.rglob("*.png"):
        Image.new("RGB", (30, 24), (n := len(path.name), 9 * n, 0)).save(path)
    new.rename(photos.with_name("others"))
    complaint(lambda: call("masks", photos.with_name("others"), "--out", out), "PHOTOS: ", "train anew")


class Killed(BaseException):
    """As by SIGKILL, which nothing in the package sees."""


def _killed_at_the_record(path: Path, content: object) -> None:
    if path.name == "training.json":
        raise Killed
    write_json(path, content)


def test_an_earlier_classifier_is_taken_only_where_it_is_what_is_asked_for(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    words = ("masks", photos, "--out", out)
    weights = out / "run" / "classifier.safetensors"

    def taken() -> bool:
        before = weights.stat().st_mtime_ns
        assert call(*words) == 0
        return "which is taken" in capsys.readouterr().err and weights.stat().st_mtime_ns == before

    assert call(*words, *QUICK) == 0
    assert taken()  # no option of the training is named again
    again = f"to train anew, delete {out / 'run' / 'config.json'}"
    for option, said in (
        (("--epochs", 3), f"--epochs: {out / 'run'} was trained with 2, not 3; take that again, or {again}"),
        (("--size", 48), "--size: "),
        (("--classes", "blue"), "with blue, red <b>, not blue"),
        (("--split", "train"), "with all, not train"),
        (("--negatives", "blue"), f"PHOTOS: {out / 'run'} was trained with imagefolder:{photos}, not"),
    ):
        complaint(lambda option=option: call(*words, *QUICK, *option), said, again)
    Image.open(photos / "new.png").save(photos / "newer.png")
    (photos / "blue" / "0.png").unlink()
    assert taken()  # photos without a label, and photos that are gone, change nothing that was learnt
    (photos / "new.png").rename(photos / "blue" / "new.png")
    complaint(lambda: call(*words), "blue/new is blue, and was not there in training", again)
    (photos / "blue" / "new.png").rename(photos / "new.png")
    (photos / "blue" / "1.png").rename(photos / "red <b>" / "1b.png")
    complaint(lambda: call(*words), "red <b>/1b is red <b>, and was not there in training", again)
    images = open_images(str(photos), "all")
    open_reviews(out / "run", images).decide("new", "skipped", "me")
    (out / "run" / "config.json").write_text("{")  # it may be that of another version, too
    before = weights.read_bytes()
    complaint(lambda: call(*words, *QUICK), "config.json", "delete it")
    assert weights.read_bytes() == before
    (out / "run" / "config.json").unlink()
    with monkeypatch.context() as patched:  # killed before the last file of the training is written
        patched.setattr("beyondcam.classifier.training.write_json", _killed_at_the_record)
        with pytest.raises(Killed):
            call(*words, *QUICK)
    assert not (out / "run" / "training.json").exists()
    assert call(*words, *QUICK) == 0
    assert (out / "run" / "training.json").exists()
    assert taken()
    assert open_reviews(out / "run", images).current().keys() == {"new"}


def test_masks_of_other_classes_are_noticed_before_anything_is_trained(photos: Path, tmp_path: Path) -> None:
    words = ("masks", photos, "--out", tmp_path / "out", *QUICK)
    assert call(*words) == 0
    run = tmp_path / "out" / "run"
    (photos / "blue" / "9.png").rename(photos / "9.png")
    (photos / "green").mkdir()
    (photos / "9.png").rename(photos / "green" / "9.png")
    complaint(lambda: call(*words), "--classes: ", "not blue, green, red <b>")
    (run / "config.json").unlink()
    before = (run / "classifier.safetensors").read_bytes()
    complaint(lambda: call(*words), "--out: ", "masks of other classes")
    assert (run / "classifier.safetensors").read_bytes() == before
    assert not (run / "checkpoint.pt").exists()


def test_files_of_others_are_noticed_before_anything_is_trained(photos: Path, tmp_path: Path) -> None:
    mine = tmp_path / "out" / "network" / "masks" / "new.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"drawn by hand")
    words = ("masks", photos, "--out", tmp_path / "out", *QUICK, "--network")
    complaint(lambda: call(*words), "--out: ", "new.png")
    assert not (tmp_path / "out" / "run").exists()
    assert mine.read_bytes() == b"drawn by hand"


def test_a_label_that_changed_in_a_table_is_named(photos: Path, tmp_path: Path) -> None:
    names = sorted(path.stem for path in (photos / "blue").iterdir())
    table = photos / "blue" / "labels.csv"
    table.write_text("image,labels\n" + "".join(f"{n},{'ab'[int(n) % 2]}\n" for n in names))
    words = ("masks", photos / "blue", "--out", tmp_path / "out")
    assert call(*words, *QUICK) == 0
    sound = table.read_text()
    table.write_text(sound + "../0.png,a\n")  # its id comes first
    assert call(*words) == 1
    table.write_text(sound)
    for line, now in (("4,b", "b"), ("4,", "of no class"), ("4,b;a", "a;b")):
        table.write_text(sound.replace("4,a", line))
        complaint(lambda: call(*words), f"4 is {now}, and was a in training")
    table.write_text(sound.replace("4,a\n", ""))
    complaint(lambda: call(*words), "4 is without a label, and was a in training")
