"""Several processes at one job, really started: they give what one process gives."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from safetensors.torch import load_file

from beyondcam.cli.map import shard_of
from beyondcam.files import write_whole
from conftest import Command, complaint, make_folder

IMAGES = 40  # chunks of 16, 16 and 8: the first and the last go to the first of two processes

BEYONDCAM = """
import os, pathlib, sys
from beyondcam.cli import main
if __name__ == "__main__":
    pathlib.Path(__file__).with_name(os.environ["RANK"]).write_text(str(os.getpid()))
    main()
"""  # whose process can be found


@pytest.fixture(scope="module", autouse=True)
def cpu() -> Iterator[None]:
    """Two processes need two GPUs or none, and the bytes of one process are those on the same device."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CUDA_VISIBLE_DEVICES", "")
        patch.setenv("OMP_NUM_THREADS", "1")
        yield


def torchrun(*words: object) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", *map(str, words)]


def run_two(*words: object) -> subprocess.CompletedProcess[str]:
    """Run `python WORDS` in two processes as torchrun would, whose own start takes as long as theirs."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "TORCHELASTIC_RUN_ID": "none", "WORLD_SIZE": 2}
    command = [sys.executable, *map(str, words)]
    started = [
        subprocess.Popen(
            command,
            env=os.environ | {name: str(value) for name, value in (told | ranks).items()},
            stderr=subprocess.PIPE,
            text=True,
        )
        for ranks in ({"RANK": n, "LOCAL_RANK": n, "LOCAL_WORLD_SIZE": 2} for n in range(2))
    ]
    said = [process.communicate()[1] for process in started]
    return subprocess.CompletedProcess(
        command, max(process.returncode for process in started), "", "".join(said)
    )


def evidence(run: Path) -> dict[str, bytes]:
    """Of the recipe alone, by file name: the witnesses' stand in a folder of another split."""
    return {path.name: path.read_bytes() for path in run.glob("evidence/all/*/*.png")}


@pytest.fixture(scope="module")
def mapped(
    trained: tuple[Path, str], tmp_path_factory: pytest.TempPathFactory, beyondcam: Command
) -> tuple[Path, dict[str, bytes]]:
    """A folder of images, and their evidence as one process writes it."""
    root = tmp_path_factory.mktemp("mapped")
    folder = make_folder(root / "discs", IMAGES)
    shutil.copytree(trained[0], root / "run")
    beyondcam("map", root / "run", "--data", f"folder:{folder}", "--split", "all", "--recipe", "crops")
    assert len(evidence(root / "run")) == IMAGES
    return folder, evidence(root / "run")


def test_one_process_killed_ends_the_others_and_a_second_run_completes_with_the_bytes_of_one(
    mapped: tuple[Path, dict[str, bytes]], trained: tuple[Path, str], tmp_path: Path
) -> None:
    folder, whole = mapped
    run = tmp_path / "run"
    shutil.copytree(trained[0], run)
    script = tmp_path / "start.py"
    script.write_text(BEYONDCAM)
    words = ["map", run, "--data", f"folder:{folder}", "--split", "all", "--recipe", "crops"]
    with subprocess.Popen(torchrun(script, *words), stderr=subprocess.DEVNULL) as started:
        while started.poll() is None and not list(run.glob("evidence/all/*/p00.png")):
            time.sleep(0.005)
        os.kill(int((tmp_path / "0").read_text()), signal.SIGKILL)
    assert started.returncode
    kept = evidence(run)
    assert 0 < len(kept) < IMAGES
    assert kept.items() <= whole.items()
    again = run_two("-m", "beyondcam", *words)
    assert again.returncode == 0, again.stderr
    assert evidence(run) == whole


def test_a_process_that_leaves_images_out_waits_for_the_others(
    mapped: tuple[Path, dict[str, bytes]], trained: tuple[Path, str], tmp_path: Path
) -> None:
    folder, whole = mapped
    run, broken = tmp_path / "run", tmp_path / "discs"
    shutil.copytree(trained[0], run)
    shutil.copytree(folder, broken)
    lost = [f"p{n}" for n in range(16, 32)]  # the second process's chunk, so that it is done at once
    for name in lost:
        (broken / "images" / f"{name}.png").write_bytes(b"no picture")
    done = run_two(
        "-m", "beyondcam", "map", run, "--data", f"folder:{broken}", "--split", "all", "--recipe", "crops"
    )
    assert done.returncode
    assert "left out: p20: " in done.stderr
    assert evidence(run) == {name: whole[name] for name in whole if Path(name).stem not in lost}
    left_out = [json.loads((run / "left_out" / f"map-all-{i}of2.json").read_text()) for i in (1, 2)]
    assert [list(part) for part in left_out] == [[], lost]


def test_two_processes_train_the_classifier_of_one(tmp_path: Path, beyondcam: Command) -> None:
    folder = make_folder(tmp_path / "discs", 23)
    (folder / "images" / "p05.png").write_bytes(b"no picture")
    words = ["train", "--data", f"folder:{folder}", "--backbone", "convnet", "--kernel", 3, "--size", 32,
             "--freeze-bn", "--optimizer", "sgd", "--lr", 0.5, "--epochs", 2, "--batch", 3]  # fmt: skip
    beyondcam(*words, "--out", tmp_path / "one", status=1)
    done = run_two("-m", "beyondcam", *words, "--out", tmp_path / "two")
    assert done.returncode
    assert done.stderr.count("left out: p05: ") == 1
    one, two = (json.loads((tmp_path / run / "training.json").read_text()) for run in ("one", "two"))
    assert (one["images"] + 1) % 3 == 1  # with p05: a process has no row in the last batch of an epoch
    assert two["left_out"] == one["left_out"]
    assert two["val_map"] == one["val_map"]
    for first, second in zip(one["epochs"], two["epochs"], strict=True):
        assert second["loss"] == pytest.approx(first["loss"], rel=1e-5)
        assert second["held_out_map"] == first["held_out_map"]
    first, second = (load_file(tmp_path / run / "classifier.safetensors") for run in ("one", "two"))
    assert first.keys() == second.keys()
    for name, weights in first.items():
        assert (weights - second[name]).abs().max() < 1e-5, name


def test_a_training_of_two_processes_that_was_killed_ends_with_the_bytes_of_one_that_was_not(
    tmp_path: Path,
) -> None:
    folder = make_folder(tmp_path / "discs", 12)
    (tmp_path / "start.py").write_text(BEYONDCAM)
    words = ["train", "--data", f"folder:{folder}", "--split", "all", "--backbone", "convnet", "--size", 32,
             "--epochs", 8, "--batch", 4]  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = run_two("-m", "beyondcam", *words, "--out", whole)
    assert done.returncode == 0, done.stderr
    command = torchrun(tmp_path / "start.py", *words, "--out", killed)
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as started:
        while started.poll() is None and not (killed / "checkpoint.pt").exists():
            time.sleep(0.005)
        os.kill(int((tmp_path / "0").read_text()), signal.SIGKILL)
    assert {path.name for path in killed.iterdir()} == {"checkpoint.pt"}
    again = run_two("-m", "beyondcam", *words, "--out", killed)
    assert again.returncode == 0, again.stderr
    files = [{path.name: path.read_bytes() for path in run.iterdir()} for run in (whole, killed)]
    assert files[0] == files[1]


TEACH = """
import sys
from pathlib import Path
from torch import nn
from beyondcam.data import VOID, open_images
from beyondcam.data.masks import open_masks
from beyondcam.segmentation import SegmentConfig, Segmenter, train_segmenter

def labels(image_id):
    own = masks.read(image_id).numpy()
    own[: 3 * int(image_id[1:])] = VOID
    return own

Segmenter.train = lambda own, mode=True: nn.Module.train(own, False)
data, out = sys.argv[1:]
images, masks = open_images(data, "all"), open_masks(data, "all")
config = SegmentConfig(architecture="unet", encoder="test_efficientnet", pretrained=False, size=32, batch=4,
                       epochs=3, lr=1e-3, head_lr=1)
train_segmenter(images, labels, config, {}, Path(out))
"""


def test_two_processes_train_the_segmentation_network_of_one(tmp_path: Path) -> None:
    """With batch norms that stand still, since each process's sees its own rows.

    How much is void differs from image to image: the loss is a mean over all pixels, not over processes.
    """
    data = f"folder:{make_folder(tmp_path / 'discs', 12)}"
    script = tmp_path / "teach.py"
    script.write_text(TEACH)
    subprocess.run([sys.executable, script, data, tmp_path / "one"], check=True)
    assert run_two(script, data, tmp_path / "two").returncode == 0
    one, two = (json.loads((tmp_path / run / "training.json").read_text()) for run in ("one", "two"))
    losses = [[epoch["loss"] for epoch in training["epochs"]] for training in (one, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)
    assert losses[0][-1] < 0.95 * losses[0][0]


def test_shards_come_from_torchrun_or_from_shard_but_not_from_both(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shard_of(None) == (0, 1)
    assert shard_of("2/3") == (1, 3)
    for name, value in {"TORCHELASTIC_RUN_ID": "a", "RANK": "1", "WORLD_SIZE": "4"}.items():
        monkeypatch.setenv(name, value)
    assert shard_of(None) == (1, 4)
    complaint(lambda: shard_of("2/3"), "shard: ", "torchrun")


def test_a_file_that_many_write_at_once_is_whole_and_nothing_stays_behind(tmp_path: Path) -> None:
    path = tmp_path / "manifest.json"
    contents = [bytes([n]) * 100_000 for n in range(8)]

    def write(content: bytes) -> None:
        for _ in range(50):
            write_whole(path, content)
            assert path.read_bytes() in contents

    with ThreadPoolExecutor(len(contents)) as pool:
        list(pool.map(write, contents))
    assert list(tmp_path.iterdir()) == [path]
