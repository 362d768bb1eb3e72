"""The whole job on somebody's photos: folders of classes in, masks and a page of them out."""

import csv
from html import escape
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import Command, one_line

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


def test_masks_are_made_shown_and_gone_on_with(photos: Path, tmp_path: Path, beyondcam: Command) -> None:
    out = tmp_path / "out"
    words = ("masks", photos, "--out", out, "--best", "--network", *QUICK)
    said = beyondcam(*words).stderr
    assert "for 21 photos on this machine" in said
    assert f"{photos}: is imagefolder:{photos}" in said
    assert str(out / "index.html") in said
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
    assert "which is taken" in beyondcam(*words).stderr
    assert (mask.read_bytes(), weights.stat().st_mtime_ns) == before


def test_masks_are_not_written_among_the_photos(photos: Path, beyondcam: Command) -> None:
    for out in (photos, photos / "masks"):
        assert "--out: " in one_line(beyondcam("masks", photos, "--out", out, *QUICK, status=2))
    assert not (photos / "masks").exists()
