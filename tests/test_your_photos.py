"""docs/your-photos.md, walked through from end to end with a few small photos."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from beyondcam.cli.app import COMMANDS
from beyondcam.data import open_images
from beyondcam.data.mask_file import read_mask
from beyondcam.metrics.segments import read_segments
from beyondcam.reviews import open_reviews
from beyondcam.segmentation import load_segmenter
from conftest import call

PAGE = Path(__file__).parent.parent / "docs" / "your-photos.md"
QUICK = {
    "masks": "--backbone convnet --no-pretrained --size 32 --epochs 2 --batch 4",
    "segment": "--architecture unet --encoder test_efficientnet --no-pretrained --size 32 --epochs 1",
}
WAY = ["masks", "review", "export", "import-masks", "masks", "segment", "predict"]


def commands() -> list[list[str]]:
    blocks = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [line.split()[1:] for block in blocks for line in block.splitlines()]


def photo(path: Path, channel: int, rng: np.random.Generator) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 60, (24, 30, 3), np.uint8)
    pixels[6:18, 8:22, channel] += 150
    Image.fromarray(pixels).save(path)


def test_the_page_leads_from_photos_to_predictions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`review` waits for a person, who accepts a mask here, corrects one, and draws another anew."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    for name, channel in (("crack", 0), ("hole", 2)):
        for n in range(8):
            photo(Path("photos", name, f"{n}.png"), channel, rng)
    photo(Path("new/deep/a.png"), 0, rng)
    mine = np.full((24, 30), 2, np.uint8)
    assert [words[0] for words in commands()] == WAY
    for words in commands():
        assert words[0] in COMMANDS
        if words[0] == "review":
            images = open_images("photos", "all")
            reviews = open_reviews(Path(words[1]), images)
            accepted = read_mask(Path("masks/masks/crack/1.png")).numpy()
            reviews.decide("crack/1", "accepted", "me", mask=accepted)
            reviews.decide("hole/1", "corrected", "me", mask=mine)
            reviews.decide("hole/2", "rejected", "me")
            continue
        if words[0] == "import-masks":
            drawn = Path("drawn/annotations.xml")
            assert 'label="hole"' in drawn.read_text()
            drawn.write_text(drawn.read_text().replace('label="hole"', 'label="crack"'))
        assert call(*words, *QUICK.get(words[0], "").split()) == 0
        said = capsys.readouterr().err
        if words[0] == "masks":
            assert "few photos: crack (8), hole (8)" in said or "is taken" in said
            assert "masks; open " in said
    assert (read_mask(Path("masks/masks/hole/1.png")).numpy() == mine).all()
    assert "labels + 3 masks" in Path("masks/run/segment/mine/segment.json").read_text()
    assert load_segmenter(Path("masks/run/segment/mine")).classes == ("crack", "hole")
    assert read_segments(Path("masks/run")) == []  # there is nothing to score by
    table = Path("predicted/predictions.csv").read_text()
    assert table.startswith("image,class,area,confidence\ndeep/a,background,")
    assert Path("predicted/masks/deep/a.png").exists()
