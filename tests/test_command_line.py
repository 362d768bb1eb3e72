"""The real commands on tiny data, one after the other: from labels to a report."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import TRAIN, Command, evidence_bytes, make_folder, recipe_options


def test_the_main_job_from_labels_to_report(
    run: Path, trained: tuple[Path, str], beyondcam: Command, here: Command
) -> None:
    recipes = ("cam", "saliency+smooth", "cam-ms")
    for split, command in (("train", here), ("all", beyondcam)):
        command("map", run, "--split", split, "--no-witnesses", *recipe_options(*recipes))
    here("map", run, "--split", "val", *recipe_options(*recipes))
    here("score", run, "--split", "train")
    best = {r["recipe"]: r["threshold"] for r in json.loads((run / "scores.json").read_text())}
    here("score", run, "--split", "val", "--threshold", 0.3)
    done = beyondcam("score", run, "--split", "all")
    assert "no rule train: --split all shares images with --train-split train" in done.stderr
    every = json.loads((run / "scores.json").read_text())
    on_val = [r for r in every if r["split"] == "val"]
    assert {(r["recipe"], r["threshold_rule"]) for r in on_val} == {
        (name, rule) for name in recipes for rule in ("fixed", "adaptive", "blind", "train", "oracle")
    }
    for row in on_val:
        low, high = row["ci"]["miou"]
        assert low <= row["miou"] <= high
        if row["threshold_rule"] == "train":
            assert row["threshold"] == best[row["recipe"]]
        if row["recipe"] == "cam":
            assert row["dr_recall"] == 1
            assert not row["ndr_recall"]  # 0, or null where CAM finds every pixel
    rows = [r for r in every if r["split"] == "all"]
    assert {r["images"] for r in rows} == {24}
    out = run / "seeds"
    here("seed", run, "--split", "all", "--recipe", "cam", "--threshold", "oracle", "--out", out)
    assert len(list((out / "masks").glob("*.png"))) == len(list((out / "overlays").glob("*.jpg"))) == 24

    from beyondcam.data.masks import open_masks

    masks = open_masks(trained[1], "all", ("blue", "red"))
    assert masks is not None
    hits = np.zeros(3)
    unions = np.zeros(3)
    for path in (out / "masks").glob("*.png"):
        seed, truth = np.array(Image.open(path)), masks.read(path.stem).numpy()
        for k in range(3):
            hits[k] += ((seed == k) & (truth == k)).sum()
            unions[k] += ((seed == k) | (truth == k)).sum()
    (oracle,) = (r for r in rows if r["recipe"] == "cam" and r["threshold_rule"] == "oracle")
    assert oracle["miou"] == pytest.approx(float(np.mean(hits / unions)))

    page = beyondcam("report", run).stdout.strip()
    assert Path(page).is_file()


def test_the_practitioners_way_needs_no_mask_and_takes_unlabelled_photos(
    tmp_path: Path, here: Command
) -> None:
    folder = make_folder(tmp_path / "photos", 8, masks=False, unlabelled=2)
    spec, out = f"folder:{folder}", tmp_path / "run"
    train = ("train", "--data", spec, "--split", "all", "--out", out, *TRAIN, "--epochs", 2)
    assert "left out: p08:" in here(*train, status=1).stderr
    here("map", out, "--split", "all", "--targets", "predicted", *recipe_options("saliency+smooth"))
    seed = ["seed", out, "--split", "all", "--recipe", "saliency+smooth", "--out", tmp_path / "m"]
    missing = here(*seed, "--threshold", "train", status=2)
    assert "beyondcam score" in missing.stderr
    here(*seed, "--void", "blind")
    assert len(list((tmp_path / "m" / "masks").glob("*.png"))) == 10
    values = np.unique(np.array(Image.open(tmp_path / "m" / "masks" / "p08.png")))
    assert set(values) <= {0, 1, 2, 255}
    assert "no masks" in here("score", out, "--split", "all", status=2).stderr


def test_masks_change_neither_the_classifier_nor_the_maps(tmp_path: Path, here: Command) -> None:
    """Labels come from the masks here; the same classes at other pixels must give the same bytes."""
    contents = []
    for name in ("right", "wrong"):
        discs = make_folder(tmp_path / name / "discs", 8)
        voc = tmp_path / name / "voc"
        (voc / "ImageSets" / "Segmentation").mkdir(parents=True)
        (voc / "SegmentationClass").mkdir()
        (voc / "JPEGImages").mkdir()
        ids = [f"p{n:02d}" for n in range(8)]
        (voc / "ImageSets" / "Segmentation" / "train.txt").write_text("\n".join(ids))
        for i in ids:
            Image.open(discs / "images" / f"{i}.png").save(voc / "JPEGImages" / f"{i}.jpg")
            mask = np.array(Image.open(discs / "masks" / f"{i}.png"))
            Image.fromarray(mask if name == "right" else mask[::-1, ::-1]).save(
                voc / "SegmentationClass" / f"{i}.png"
            )
        run = tmp_path / name / "run"
        train = ("train", "--data", f"voc:{voc}", "--classes", "aeroplane,bicycle", "--out", run, *TRAIN)
        here(*train, "--epochs", 2)
        here("map", run, "--split", "train", *recipe_options("saliency"))
        contents.append([(run / "classifier.safetensors").read_bytes(), *evidence_bytes(run).values()])
    assert len(contents[0]) == 1 + 8 + 2 * 6  # of two images without a class no witness is asked
    assert contents[0] == contents[1]


def test_one_bad_image_never_stops_the_others(tmp_path: Path, run: Path, here: Command) -> None:
    folder = make_folder(tmp_path / "bad")
    whole = (folder / "images" / "p03.png").read_bytes()
    (folder / "images" / "p03.png").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (7, 5)).save(folder / "masks" / "p05.png")
    Image.fromarray(np.full((48, 48), 9, np.uint8)).save(folder / "masks" / "p06.png")
    (folder / "images" / "p07.png").unlink()
    spec = f"folder:{folder}"
    done = here("map", run, "--data", spec, "--split", "all", *recipe_options("cam"), status=1)
    assert "p03.png" in done.stderr
    assert "p07" in done.stderr
    assert len(list((run / "evidence" / "all").glob("*/*.png"))) == 22
    assert set(json.loads((run / "left_out" / "map-all-1of1.json").read_text())) == {"p03", "p07"}
    done = here("score", run, "--data", spec, "--split", "all", status=1)
    assert "p05: the mask of p05 is 7×5 pixels, the image 48×48" in done.stderr
    assert "p06.png: mask value 9 is none of the 2 classes" in done.stderr
    assert json.loads((run / "scores.json").read_text())[0]["images"] == 20
    done = here("train", "--data", spec, "--split", "all", "--out", tmp_path / "r", *TRAIN, status=1)
    assert "p03.png" in done.stderr


def test_voc_photos_run_from_end_to_end(data: Path, tmp_path: Path, here: Command) -> None:
    """Four real photos through an untrained-long lite0: every command, no figure."""
    root = tmp_path / "voc"
    source = data / "voc2012_animals"
    ids = (source / "ImageSets" / "Segmentation" / "val.txt").read_text().split()[:4]
    (root / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split in ("train", "val"):
        (root / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(ids))
    for folder, suffix in (("JPEGImages", "jpg"), ("SegmentationClass", "png")):
        (root / folder).mkdir()
        for i in ids:
            shutil.copy(source / folder / f"{i}.{suffix}", root / folder)
    run = tmp_path / "run"
    here("train", "--data", f"voc:{root}", "--size", 96, "--epochs", 1, "--batch", 2, "--out", run)
    here("map", run, *recipe_options("cam", "saliency+resolve"))
    here("score", run, "--train-split", "val")
    here("report", run)
    rows = json.loads((run / "scores.json").read_text())
    assert [row["threshold_rule"] for row in rows] == 2 * ["adaptive", "blind", "oracle"]
