"""What the command line hands to the library: figures and files are those of the call written out."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import beyondcam as bc
from beyondcam.data import VOID
from beyondcam.evidence import find_shelf
from beyondcam.metrics import ThresholdSplit, read_scores
from beyondcam.seeds import seed_labels
from beyondcam.segmentation import load_segmenter, predict_photos
from conftest import call


def test_score_hands_over_its_thresholds_few_and_absent(run: Path, trained: tuple[Path, str]) -> None:
    train, val = (bc.open_images(trained[1], split) for split in ("train", "val"))
    train_masks, masks = (bc.open_masks(trained[1], split) for split in ("train", "val"))
    for split in ("train", "val"):
        call("map", run, "--split", split, "--no-witnesses", "--recipe", "cam", "--recipe", "saliency")
    few = train.ids[:2]
    words = ("--threshold", 0.3, "--reference-threshold", 0.2, "--few", ",".join(few), "--absent", "zero")
    assert call("score", run, "--split", "val", *words) == 0
    found = read_scores(run)
    expected = bc.score_split(
        run, val, masks, threshold_split=ThresholdSplit(train, train_masks, few), threshold=0.3,
        reference_threshold=0.2, absent="zero",
    )  # fmt: skip
    assert found.rows == expected.rows
    assert found.comparisons == expected.comparisons
    assert {"fixed", "few", "train"} <= {row.threshold_rule for row in found.rows}
    fixed = found.row("saliency", "fixed")
    assert (fixed.threshold, fixed.reference_threshold, fixed.absent) == (0.3, 0.2, "zero")


def test_seed_hands_over_its_threshold_and_void(run: Path, trained: tuple[Path, str], tmp_path: Path) -> None:
    images = bc.open_images(trained[1], "all")
    call("map", run, "--split", "all", "--no-witnesses", "--recipe", "cam")
    words = ("--split", "all", "--recipe", "cam", "--threshold", 0.3, "--void", 0.2)
    assert call("seed", run, *words, "--out", tmp_path / "seeds") == 0
    shelf = find_shelf(run, images, "cam")
    seeds = {i: seed_labels(shelf.read(i), 0.3, 0.2) for i in images.ids}
    for i, seed in seeds.items():
        assert np.array_equal(np.array(Image.open(tmp_path / "seeds" / "masks" / f"{i}.png")), seed)
    assert any((seed == VOID).any() for seed in seeds.values())


def test_evaluate_hands_over_its_protocol_classes_and_threshold(discs: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images, masks = bc.open_images(discs, "all", ["red"]), bc.open_masks(discs, "all", ["red"])
    (tmp_path / "cams").mkdir()
    for i in images.ids:
        np.save(tmp_path / "cams" / f"{i}.npy", {k: rng.random((48, 48), np.float32) for k in (0, 1)})
    words = ("--split", "all", "--classes", "red", "--protocol", "seam", "--threshold", 0.4)
    out = tmp_path / "scores.json"
    assert call("evaluate", tmp_path / "cams", "--data", discs, *words, "--out", out) == 0
    expected = bc.evaluate(tmp_path / "cams", images.ids, masks, "seam", threshold=0.4, known=("blue", "red"))
    assert json.loads(out.read_text()) == json.loads(json.dumps(asdict(expected)))
    assert expected.threshold == 0.4


@pytest.fixture
def segmenter(discs: str, tmp_path: Path) -> Path:
    """A tiny network trained on masks."""
    run = tmp_path / "run"
    train = ("--backbone", "convnet", "--no-pretrained", "--size", 32, "--epochs", 1)
    assert call("train", "--data", discs, "--split", "all", "--out", run, *train) == 0
    tiny = ("--architecture", "unet", "--encoder", "test_efficientnet", "--no-pretrained", "--size", 32)
    words = ("--truth", "--seeds-split", "all", "--epochs", 1, "--name", "tiny")
    assert call("segment", run, *words, *tiny) == 0
    return run / "segment" / "tiny"


def test_predict_hands_over_its_tta_tile_and_resume(segmenter: Path, discs: str, tmp_path: Path) -> None:
    photos = Path(discs.removeprefix("folder:")) / "images"
    out = [tmp_path / name for name in ("command", "library", "plain")]
    assert call("predict", segmenter, photos, "--out", out[0], "--tta", "scales", "--tile", 32) == 0
    network = load_segmenter(segmenter)
    assert predict_photos(network, [photos], out[1], tta="scales", tile=32) == {}
    assert predict_photos(network, [photos], out[2]) == {}
    tables = [(folder / "predictions.csv").read_bytes() for folder in out]
    assert tables[0] == tables[1] != tables[2]
    overlay = out[2] / "overlays" / "p00.jpg"
    overlay.write_bytes(b"of the earlier call")
    assert call("predict", segmenter, photos, "--out", out[2], "--resume") == 0
    assert overlay.read_bytes() == b"of the earlier call"
    assert call("predict", segmenter, photos, "--out", out[2]) == 0
    assert overlay.read_bytes() != b"of the earlier call"
