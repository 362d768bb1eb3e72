"""The whole job on somebody's photos: folders of classes in, masks and a page of them out."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beyondcam.cli import main
from beyondcam.data import read_mask

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
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ("masks", str(photos), "--out", str(out), "--best", *QUICK)
    assert main(words) == 0
    said = capsys.readouterr().err
    assert f"{photos}: is imagefolder:{photos}" in said
    assert str(out / "index.html") in said
    ids = {path.relative_to(photos).with_suffix("").as_posix() for path in photos.rglob("*.png")}
    masks = {
        path.relative_to(out / "masks").with_suffix("").as_posix() for path in out.rglob("masks/**/*.png")
    }
    assert masks == ids
    with (out / "confidence-all.csv").open() as file:
        confident = [row["image"] for row in csv.DictReader(file)]
    page = (out / "index.html").read_text()
    assert "red <b>" not in page
    places = [
        page.index(f'alt="mask over {i.replace("<b>", "&lt;b&gt;")}"') for i in dict.fromkeys(confident)
    ]
    assert places == sorted(places)

    (out / "masks" / "blue" / "3.png").unlink()
    weights = (out / "run" / "classifier.safetensors").stat().st_mtime_ns
    assert main(words) == 0
    assert "which is taken" in capsys.readouterr().err
    assert (out / "run" / "classifier.safetensors").stat().st_mtime_ns == weights
    assert read_mask(out / "masks" / "blue" / "3.png").shape == (24, 30)
