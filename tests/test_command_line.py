"""The real commands on tiny data: the main job, restarts, shards, and bad input in one line."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import TRAIN, Command, make_folder

RECIPES = ("cam", "saliency+smooth", "crops+superpixels")


def recipe_options(*names: str) -> list[str]:
    return [word for name in names or RECIPES for word in ("--recipe", name)]


def evidence_bytes(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in sorted(run.glob("evidence/*/*/*.png"))}


@pytest.fixture
def run(trained: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the trained RUN that a test may do anything to."""
    shutil.copytree(trained[0], tmp_path / "run")
    return tmp_path / "run"


def test_the_main_job_from_labels_to_report(run: Path, trained: tuple[Path, str], beyondcam: Command) -> None:
    for split in ("train", "val", "all"):
        beyondcam("map", run, "--split", split, *recipe_options())
    beyondcam("score", run, "--split", "train")
    best = {r["recipe"]: r["threshold"] for r in json.loads((run / "scores.json").read_text())}
    beyondcam("score", run, "--split", "val", "--threshold", 0.3)
    done = beyondcam("score", run, "--split", "all")
    assert "no rule train: --split all shares images with --train-split train" in done.stderr
    every = json.loads((run / "scores.json").read_text())
    on_val = [r for r in every if r["split"] == "val"]
    assert {(r["recipe"], r["threshold_rule"]) for r in on_val} == {
        (name, rule) for name in RECIPES for rule in ("fixed", "blind", "train", "oracle")
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
    beyondcam("seed", run, "--split", "all", "--recipe", "cam", "--threshold", "oracle", "--out", out)
    assert len(list((out / "masks").glob("*.png"))) == len(list((out / "overlays").glob("*.jpg"))) == 24

    from beyondcam.data import open_masks

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
    tmp_path: Path, beyondcam: Command
) -> None:
    folder = make_folder(tmp_path / "photos", 16, masks=False, unlabelled=2)
    spec, out = f"folder:{folder}", tmp_path / "run"
    done = beyondcam("train", "--data", spec, "--split", "all", "--out", out, *TRAIN, status=1)
    assert "left out: p16:" in done.stderr
    beyondcam("map", out, "--split", "all", "--targets", "predicted", *recipe_options("crops+smooth"))
    seed = ["seed", out, "--split", "all", "--recipe", "crops+smooth", "--out", tmp_path / "m"]
    missing = beyondcam(*seed, "--threshold", "train", status=2)
    assert "beyondcam score" in missing.stderr
    beyondcam(*seed, "--void", "blind")
    assert len(list((tmp_path / "m" / "masks").glob("*.png"))) == 18
    values = np.unique(np.array(Image.open(tmp_path / "m" / "masks" / "p16.png")))
    assert set(values) <= {0, 1, 2, 255}
    assert "no masks" in beyondcam("score", out, "--split", "all", status=2).stderr


def test_masks_change_neither_the_classifier_nor_the_maps(tmp_path: Path, beyondcam: Command) -> None:
    """Labels come from the masks here; the same classes at other pixels must give the same bytes."""
    contents = []
    for name in ("right", "wrong"):
        discs = make_folder(tmp_path / name / "discs", 12)
        voc = tmp_path / name / "voc"
        (voc / "ImageSets" / "Segmentation").mkdir(parents=True)
        (voc / "SegmentationClass").mkdir()
        (voc / "JPEGImages").mkdir()
        ids = [f"p{n:02d}" for n in range(12)]
        (voc / "ImageSets" / "Segmentation" / "train.txt").write_text("\n".join(ids))
        for i in ids:
            Image.open(discs / "images" / f"{i}.png").save(voc / "JPEGImages" / f"{i}.jpg")
            mask = np.array(Image.open(discs / "masks" / f"{i}.png"))
            Image.fromarray(mask if name == "right" else mask[::-1, ::-1]).save(
                voc / "SegmentationClass" / f"{i}.png"
            )
        run = tmp_path / name / "run"
        beyondcam("train", "--data", f"voc:{voc}", "--classes", "aeroplane,bicycle", "--out", run, *TRAIN)
        beyondcam("map", run, "--split", "train", *recipe_options("crops"))
        contents.append([(run / "classifier.safetensors").read_bytes(), *evidence_bytes(run).values()])
    assert len(contents[0]) == 1 + 12 + 2 * 9  # of three images without a class no witness is asked
    assert contents[0] == contents[1]


def test_batch_size_and_order_change_at_most_one_level(
    run: Path, trained: tuple[Path, str], tmp_path: Path
) -> None:
    import dataclasses

    import beyondcam as bc

    images = bc.open_images(trained[1], "all")
    shuffled = dataclasses.replace(
        images, ids=tuple(np.random.default_rng(1).permutation(images.ids).tolist())
    )
    cookbook = bc.Cookbook()
    recipes = {name: cookbook.recipe(name) for name in ("cam-ms", "saliency", "smoothgrad", "crops")}
    shutil.copytree(run, tmp_path / "other")
    classifier = bc.load_classifier(run)
    bc.map_split(classifier, images, recipes, run, batch=8)
    bc.map_split(classifier, shuffled, recipes, tmp_path / "other", batch=1)
    first, second = (
        {p.relative_to(r): np.array(Image.open(p)).astype(int) for p in r.glob("evidence/*/*/*.png")}
        for r in (run, tmp_path / "other")
    )
    assert first.keys() == second.keys()
    assert len(first) == 4 * 24
    differing = total = 0
    for path, levels in first.items():
        assert abs(levels - second[path]).max() <= 1
        differing += (levels != second[path]).sum()
        total += levels.size
    assert differing < 1e-3 * total


def test_killed_at_any_moment_map_ends_with_the_bytes_of_an_undisturbed_run(
    run: Path, tmp_path: Path, beyondcam: Command
) -> None:
    shutil.copytree(run, tmp_path / "undisturbed")
    words = ["--split", "all", *recipe_options("crops", "cam")]
    beyondcam("map", tmp_path / "undisturbed", *words)
    for files in (1, 9, 30):
        process = subprocess.Popen(
            [sys.executable, "-m", "beyondcam", "map", str(run), *words], stderr=subprocess.DEVNULL
        )
        while process.poll() is None and len(evidence_bytes(run)) < files:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        for path in run.glob("evidence/*/*/*.png"):
            with Image.open(path) as picture:
                picture.load()
    beyondcam("map", run, *words)
    assert evidence_bytes(run) == evidence_bytes(tmp_path / "undisturbed")


def test_shards_write_the_bytes_of_one_process(run: Path, tmp_path: Path, beyondcam: Command) -> None:
    shutil.copytree(run, tmp_path / "whole")
    beyondcam("map", tmp_path / "whole", "--split", "all", *recipe_options("crops"))
    for shard in ("1/2", "2/2"):
        beyondcam("map", run, "--split", "all", "--shard", shard, *recipe_options("crops"))
    assert evidence_bytes(run) == evidence_bytes(tmp_path / "whole")


def test_a_changed_recipe_seed_or_checkpoint_takes_up_no_old_file(
    run: Path, tmp_path: Path, beyondcam: Command
) -> None:
    beyondcam("map", run, "--split", "all", *recipe_options("crops"))
    recipes = tmp_path / "mine.toml"
    recipes.write_text('[recipes.crops]\nmap = "saliency"\nperturbation = { kind = "crops", n = 2 }\n')
    beyondcam("map", run, "--split", "all", "--recipes", recipes, *recipe_options("crops"))
    beyondcam("map", run, "--split", "all", "--seed", 1, *recipe_options("crops"))
    assert len(list((run / "evidence" / "all").iterdir())) == 3
    seed = ["seed", run, "--split", "all", "--recipe", "crops", "--threshold", 0.3, "--out", tmp_path / "s"]
    assert "several stand under this name" in beyondcam(*seed, status=2).stderr


def test_one_bad_image_never_stops_the_others(tmp_path: Path, run: Path, beyondcam: Command) -> None:
    folder = make_folder(tmp_path / "bad")
    whole = (folder / "images" / "p03.png").read_bytes()
    (folder / "images" / "p03.png").write_bytes(whole[: len(whole) // 2])
    Image.new("L", (7, 5)).save(folder / "masks" / "p05.png")
    Image.fromarray(np.full((48, 48), 9, np.uint8)).save(folder / "masks" / "p06.png")
    (folder / "images" / "p07.png").unlink()
    spec = f"folder:{folder}"
    done = beyondcam("map", run, "--data", spec, "--split", "all", *recipe_options("cam"), status=1)
    assert "p03.png" in done.stderr
    assert "p07" in done.stderr
    assert len(list((run / "evidence" / "all").glob("*/*.png"))) == 22
    assert set(json.loads((run / "left_out" / "map-all-1of1.json").read_text())) == {"p03", "p07"}
    done = beyondcam("score", run, "--data", spec, "--split", "all", status=1)
    assert "p05: the mask of p05 is 7×5 pixels, the image 48×48" in done.stderr
    assert "p06.png: mask value 9 is none of the 2 classes" in done.stderr
    assert json.loads((run / "scores.json").read_text())[0]["images"] == 20
    done = beyondcam("train", "--data", spec, "--split", "all", "--out", tmp_path / "r", *TRAIN, status=1)
    assert "p03.png" in done.stderr


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["map", "RUN", "--split", "none", "--recipe", "cam"], "none"),
        (["map", "RUN", "--recipe", "camm"], "camm"),
        (["map", "RUN", "--recipe", "cam+smoth"], "smoth"),
        (["map", "RUN", "--recipe", "cam", "--data", "nowhere"], "--data nowhere"),
        (["map", "RUN", "--recipe", "cam", "--data", "folder:/nowhere"], "/nowhere"),
        (["map", "RUN", "--recipe", "cam", "--classes", "rad"], "did you mean 'red'"),
        (["map", "RUN", "--recipe", "cam", "--classes", "red"], "give --classes as in training"),
        (["map", "RUN", "--recipe", "cam", "--shard", "3/2"], "--shard"),
        (["map", "RUN", "--recipe", "cam", "--batch", "0"], "--batch"),
        (["map", "RUN"], "--recipe"),
        (["map", "RUN", "--recipe", "cam", "--recipes", "/no.toml"], "/no.toml"),
        (["map", "/no/run", "--recipe", "cam"], "beyondcam train"),
        (["score", "RUN"], "beyondcam map"),
        (["score", "RUN", "--reference-threshold", "0.2"], "--threshold"),
        (["report", "RUN"], "beyondcam score"),
        (["seed", "RUN", "--recipe", "cam", "--threshold", "2", "--out", "/tmp/never"], "beyondcam map"),
        (["train", "--data", "digits", "--kernel", "4", "--out", "/tmp/never"], "--kernel: an odd"),
        (["train", "--data", "digits", "--start", "a", "--weights", "b", "--out", "/tmp/c"], "--weights"),
        (["train", "--data", "digits", "--epochs", "0", "--out", "/tmp/never"], "--epochs"),
        (["train", "--data", "digits", "--backbone", "resnet51", "--out", "/tmp/never"], "resnet51"),
        (["explain", "/no/image.jpg"], "/no/image.jpg"),
    ],
)  # fmt: skip
def test_bad_arguments_get_one_line_and_status_2(
    words: list[str], named: str, run: Path, beyondcam: Command
) -> None:
    line = one_line(beyondcam(*[run if word == "RUN" else word for word in words], status=2))
    assert named in line


def test_a_recipe_with_an_unknown_key_is_named(run: Path, tmp_path: Path, beyondcam: Command) -> None:
    file = tmp_path / "r.toml"
    file.write_text('[recipes.mine]\nmap = "cam"\nsmoth = 3\n')
    line = one_line(beyondcam("map", run, "--recipes", file, "--recipe", "mine", status=2))
    assert "r.toml: recipes.mine.smoth" in line


def test_a_checkpoint_of_another_backbone_is_named(run: Path, beyondcam: Command) -> None:
    config = json.loads((run / "config.json").read_text())
    config["train"]["kernel"] = 7
    (run / "config.json").write_text(json.dumps(config))
    line = one_line(beyondcam("map", run, "--split", "all", "--recipe", "cam", status=2))
    assert "classifier.safetensors: not a checkpoint of convnet" in line
    (run / "config.json").write_text("{")
    assert "config.json" in one_line(beyondcam("map", run, "--recipe", "cam", status=2))


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_is_one_line_and_keeps_what_was_done(
    run: Path, tmp_path: Path, beyondcam: Command
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    used = sum(max(4096, p.stat().st_size) for p in run.rglob("*"))
    options = f"size={used // 1024 + 100}k"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    words = ["--split", "all", *recipe_options("crops", "smoothgrad", "binarymask")]
    try:
        shutil.copytree(run, disk / "run")
        line = one_line(beyondcam("map", disk / "run", *words, status=2))
        assert "No space left on device" in line
        kept = evidence_bytes(disk / "run")
        assert kept
        assert not list(disk.glob("run/evidence/all/*/.*"))
    finally:
        subprocess.run(["umount", disk], check=True)
    beyondcam("map", run, *words)
    whole = evidence_bytes(run)
    assert all(whole[name] == content for name, content in kept.items())


def test_explain_draws_a_photo_with_a_run(
    run: Path, tmp_path: Path, trained: tuple[Path, str], beyondcam: Command
) -> None:
    photo = Path(trained[1].removeprefix("folder:")) / "images" / "p02.png"
    done = beyondcam("explain", photo, "--model", run, "--top", 2, "--out", tmp_path / "e.png")
    assert {line.split(":")[0] for line in done.stdout.splitlines()[:2]} == {"red", "blue"}
    with Image.open(tmp_path / "e.png") as picture:
        assert picture.width > picture.height
    assert "e.jpg" in one_line(beyondcam("explain", photo, "--model", run, "--out", "e.jpg", status=2))


def test_explain_asks_an_imagenet_classifier_by_default(
    data: Path, tmp_path: Path, beyondcam: Command
) -> None:
    photo = data / "coco128" / "images" / "000000000025.jpg"
    words = ["--recipe", "cam", "--recipe", "saliency", "--top", 1, "--out", tmp_path / "e.png"]
    first = beyondcam("explain", photo, *words).stdout
    assert first.startswith("cheetah: ")  # of a giraffe, which ImageNet does not know
    assert first.count("\n") == 2
    with Image.open(tmp_path / "e.png") as picture:
        assert picture.width > 2 * picture.height


def test_a_corrected_label_is_taken_up(run: Path, tmp_path: Path, beyondcam: Command) -> None:
    folder = make_folder(tmp_path / "discs")
    words = ["--data", f"folder:{folder}", "--split", "all", *recipe_options("cam")]
    beyondcam("map", run, *words)
    before = evidence_bytes(run)
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("p01.png,blue", "p01.png,red"))
    beyondcam("map", run, *words)
    after = evidence_bytes(run)
    assert [name for name in before if before[name] != after[name]] == [n for n in before if "p01" in n]
    table.write_text(table.read_text().replace("p01.png,red\n", ""))
    assert "left out: p01: " in beyondcam("map", run, *words, status=1).stderr


def test_voc_photos_run_from_end_to_end(data: Path, tmp_path: Path, beyondcam: Command) -> None:
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
    beyondcam("train", "--data", f"voc:{root}", "--size", 96, "--epochs", 1, "--batch", 2, "--out", run)
    beyondcam("map", run, *recipe_options("cam", "crops-mean+resolve"))
    beyondcam("score", run, "--train-split", "val")
    beyondcam("report", run)
    rows = json.loads((run / "scores.json").read_text())
    assert [row["threshold_rule"] for row in rows] == 2 * ["blind", "oracle"]
