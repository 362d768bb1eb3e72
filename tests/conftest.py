"""Small data sets and the real command line, for the tests."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import numpy as np
import pytest
from PIL import Image, ImageDraw

from beyondcam.cli import main
from beyondcam.cli.app import make_app
from beyondcam.data import LabelledImages
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Shelf, open_shelf
from beyondcam.recipes import Cookbook

if TYPE_CHECKING:
    from small import SmallRun  # which imports this file

hypothesis.settings.register_profile("same", deadline=None, derandomize=True)
hypothesis.settings.load_profile("same")

Command = Callable[..., subprocess.CompletedProcess[str]]

COLOURS = {"red": (200, 40, 40), "blue": (40, 60, 200)}

TINY_NETWORK = {"architecture": "unet", "encoder": "test_efficientnet", "pretrained": False, "size": 32}
"""Settings of a segmentation network that is trained within a second."""


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real photos, where there is one."""
    path = os.environ.get("BEYONDCAM_DATA")
    if not path or not (Path(path) / "voc2012_animals").is_dir():
        pytest.skip("BEYONDCAM_DATA names no folder with voc2012_animals")
    return Path(path).resolve()


@pytest.fixture(scope="session")
def beyondcam() -> Command:
    """Run the real command line: `beyondcam("map", RUN, ...)`; `status` is what it must exit with."""

    def command(*words: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "beyondcam", *map(str, words)], capture_output=True, text=True, check=False
        )
        assert done.returncode == status, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "Traceback" not in done.stderr
        return done

    return command


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """As `beyondcam`, in this process: a process of its own takes seconds to import torch."""
    for name in ("prepare_terminal", "silence_libraries"):  # they are for a process that ends
        monkeypatch.setattr(f"beyondcam.cli.{name}", lambda: None)

    def command(*words: object, status: int = 0) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["beyondcam", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        done = subprocess.CompletedProcess(sys.argv, status, *capsys.readouterr())
        assert ended.value.code == status, f"exit {ended.value.code}\n{done.stdout}\n{done.stderr}"
        return done

    return command


def call(*words: object) -> int:
    """The command line, in this process; returns what it would exit with."""
    given = [str(word) for word in words]
    return make_app(given)(given, standalone_mode=False) or 0


def complaint(raising: Callable[[], object], *named: str) -> str:
    """The one-line message of the `BeyondcamError` that `raising` raises, which names what it should."""
    with pytest.raises(BeyondcamError) as caught:
        raising()
    message = str(caught.value)
    assert "\n" not in message
    for word in named:
        assert word in message
    return message


def shelf_for(
    run: Path,
    images: LabelledImages,
    name: str,
    *,
    recipe: str | None = None,
    seed: int = 0,
    targets: str = "labels",
) -> Shelf:
    """The shelf that `map` would fill by a built-in recipe, which may stand under another name."""
    return open_shelf(
        run, images, targets=targets, precision="float32", name=name,
        recipe=Cookbook().recipe(recipe or name), seed=seed,
    )  # fmt: skip


def draw_photo(
    rng: np.random.Generator, present: Sequence[str], size: int = 48
) -> tuple[Image.Image, Image.Image]:
    """A noisy grey photo with one coloured disc a class, and its mask: 1 blue, 2 red."""
    ground = Image.fromarray(rng.integers(90, 150, (size, size, 3), dtype=np.uint8))
    mask = Image.new("L", (size, size))
    for n, name in enumerate(sorted(present)):
        x, y = 8 + 20 * n + int(rng.integers(4)), 8 + int(rng.integers(20))
        box = (x, y, x + 12, y + 12)
        ImageDraw.Draw(ground).ellipse(box, COLOURS[name])
        ImageDraw.Draw(mask).ellipse(box, 1 + sorted(COLOURS).index(name))
    return ground, mask


def make_folder(root: Path, count: int = 24, *, masks: bool = True, unlabelled: int = 0) -> Path:
    """A `folder:` data set of discs: images/, labels.csv and, if asked, masks/."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    if masks:
        (root / "masks").mkdir()
    lines = ["image,labels"]
    for n in range(count + unlabelled):
        present = [["red"], ["blue"], ["red", "blue"], []][n % 4]
        photo, mask = draw_photo(rng, present)
        photo.save(root / "images" / f"p{n:02d}.png")
        if masks:
            mask.save(root / "masks" / f"p{n:02d}.png")
        if n < count:
            lines.append(f"p{n:02d}.png,{';'.join(present)}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def discs(tmp_path: Path) -> str:
    """The eight photos of discs that tests map, as data."""
    return f"folder:{make_folder(tmp_path / 'discs', 8)}"


TRAIN = ("--backbone", "convnet", "--kernel", 3, "--size", 48, "--epochs", 8, "--batch", 4, "--lr", 0.01,
         "--head-lr", 1, "--ema", 0.9)  # fmt: skip


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory, beyondcam: Command) -> tuple[Path, str]:
    """A small RUN, trained by the real command, and its data."""
    root = tmp_path_factory.mktemp("trained")
    spec = f"folder:{make_folder(root / 'discs')}"
    beyondcam("train", "--data", spec, "--split", "all", "--out", root / "run", *TRAIN)
    return root / "run", spec


@pytest.fixture
def run(trained: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of the trained RUN that a test may do anything to."""
    shutil.copytree(trained[0], tmp_path / "run")
    return tmp_path / "run"


@pytest.fixture
def small(tmp_path: Path) -> "SmallRun":
    """A RUN of three 4 × 4 images."""
    from small import SmallRun

    return SmallRun(tmp_path, ("a", "b", "c"))


def recipe_options(*names: str) -> list[str]:
    """The options of `map` for these recipes."""
    return [word for name in names for word in ("--recipe", name)]


def evidence_bytes(run: Path) -> dict[str, bytes]:
    """The evidence of a RUN: by file, its content."""
    return {str(path.relative_to(run)): path.read_bytes() for path in sorted(run.glob("evidence/*/*/*.png"))}


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that a command has shown on stderr."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]
