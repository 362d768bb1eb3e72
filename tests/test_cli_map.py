"""`beyondcam map`: restarts, shards, and what is done again."""

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import beyondcam as bc
from beyondcam.errors import BeyondcamError
from beyondcam.perturbations import Crops
from conftest import Command, call, complaint, evidence_bytes, make_folder, one_line, recipe_options


def test_batch_size_and_order_change_at_most_one_level(
    run: Path, trained: tuple[Path, str], tmp_path: Path
) -> None:
    images = bc.open_images(trained[1], "all")
    images = replace(images, ids=images.ids[:6])
    shuffled = replace(images, ids=tuple(np.random.default_rng(1).permutation(images.ids).tolist()))
    recipes = {name: bc.Cookbook().recipe(name) for name in ("cam-ms", "saliency", "smoothgrad")}
    recipes["crops"] = bc.Recipe(source=bc.Source(map="saliency", perturbation=Crops(n=4)))
    shutil.copytree(run, tmp_path / "other")
    classifier = bc.load_classifier(run)
    bc.map_split(classifier, images, recipes, run, batch=8)
    bc.map_split(classifier, shuffled, recipes, tmp_path / "other", batch=1)
    first, second = (
        {p.relative_to(r): np.array(Image.open(p)).astype(int) for p in r.glob("evidence/*/*/*.png")}
        for r in (run, tmp_path / "other")
    )
    assert first.keys() == second.keys()
    assert len(first) == 4 * 6
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
    words = ["--split", "all", "--no-witnesses", *recipe_options("smoothgrad", "cam")]
    call("map", tmp_path / "undisturbed", *words)
    for files in (1, 30):
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


def test_a_network_without_witnesses_is_mapped_all_the_same(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise BeyondcamError("cannot read this network: no places", parameter="cam")

    monkeypatch.setattr("beyondcam.evidence.map_witnesses", refuse)
    assert call("map", run, "--split", "all", "--recipe", "saliency") == 0
    said = capsys.readouterr().err
    assert "no witnesses: adaptive has only the maps to go by, and there is no blind (cam: cannot" in said


def test_shards_write_the_bytes_of_one_process(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "whole")
    words = ("--split", "all", "--workers", 0, "--recipe", "crops")
    call("map", tmp_path / "whole", *words)
    for shard in ("1/2", "2/2"):
        call("map", run, "--shard", shard, *words)
    assert evidence_bytes(run) == evidence_bytes(tmp_path / "whole")


def test_a_changed_recipe_or_seed_takes_up_no_old_file(run: Path, tmp_path: Path) -> None:
    recipes = tmp_path / "mine.toml"
    recipes.write_text('[recipes.cam]\nmap = "saliency"\n')
    for changed in ((), ("--recipes", recipes), ("--seed", 1)):
        call("map", run, "--split", "all", "--no-witnesses", "--recipe", "cam", *changed)
    assert len(list((run / "evidence" / "all").iterdir())) == 3
    seed = ("seed", run, "--split", "all", "--recipe", "cam", "--threshold", 0.3, "--out", tmp_path / "s")
    complaint(lambda: call(*seed), "several have this name")


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
    words = ["--split", "all", "--no-witnesses", *recipe_options("crops", "smoothgrad", "binarymask")]
    try:
        shutil.copytree(run, disk / "run")
        line = one_line(beyondcam("map", disk / "run", *words, status=2))
        assert "No space left on device" in line
        kept = evidence_bytes(disk / "run")
        assert kept
        assert not list(disk.glob("run/evidence/all/*/.*"))
    finally:
        subprocess.run(["umount", disk], check=True)
    call("map", run, *words)
    whole = evidence_bytes(run)
    assert all(whole[name] == content for name, content in kept.items())


def test_a_corrected_label_is_taken_up(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = make_folder(tmp_path / "discs")
    words = ("--data", f"folder:{folder}", "--split", "all", "--no-witnesses", "--recipe", "cam")
    assert call("map", run, *words) == 0
    before = evidence_bytes(run)
    table = folder / "labels.csv"
    table.write_text(table.read_text().replace("p01.png,blue", "p01.png,red"))
    assert call("map", run, *words) == 0
    after = evidence_bytes(run)
    assert [name for name in before if before[name] != after[name]] == [n for n in before if "p01" in n]
    table.write_text(table.read_text().replace("p01.png,red\n", ""))
    assert call("map", run, *words) == 1
    assert "left out: p01: " in capsys.readouterr().err
