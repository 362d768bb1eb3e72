"""Options that several commands share."""

import inspect
from collections.abc import Collection
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
from PIL import Image

from beyondcam.cli.app import COMMANDS
from beyondcam.evidence.mapper import Precision, Targets
from beyondcam.formats import FORMATS
from beyondcam.metrics.tally import Absent
from beyondcam.segmentation.network import Tta
from conftest import call, complaint, make_folder


def test_targets_say_which_evidence_of_one_name(run: Path, tmp_path: Path) -> None:
    for targets in ("labels", "predicted", "mixed"):
        call("map", run, "--recipe", "cam", "--no-witnesses", "--targets", targets)
    words = ("seed", run, "--recipe", "cam", "--threshold", 0.3, "--out", tmp_path / "seeds")
    complaint(lambda: call(*words), "--recipe: cam", "(--targets)")
    assert call(*words, "--targets", "labels") == 0
    complaint(lambda: call("segment", run, "--recipe", "cam"), "(--targets)")


def test_max_pixels_are_those_of_the_training_or_as_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_folder(tmp_path / "discs", 12)
    Image.open(folder / "images/p01.png").resize((60, 60)).save(folder / "images/p01.png")
    run, limit = tmp_path / "run", 48 * 48
    words = ("train", "--data", f"folder:{folder}", "--split", "all", "--out", run, "--backbone", "convnet")
    assert call(*words, "--size", 16, "--epochs", 1, "--max-pixels", limit) == 1
    mapped = ("map", run, "--split", "all", "--recipe", "cam", "--no-witnesses")
    assert call(*mapped) == 1
    said = capsys.readouterr().err
    assert said.count("left out: p01: ") == 2
    assert "raise the limit (--max-pixels)" in said
    assert call(*mapped, "--max-pixels", 3600) == 0


def test_a_run_does_not_lie_among_photos_that_are_looked_for(tmp_path: Path) -> None:
    """Its evidence would be photos."""
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
        Image.new("RGB", (9, 9)).save(tmp_path / "photos" / name / "1.png")
    run = tmp_path / "photos" / "run"
    complaint(
        lambda: call("train", "--data", tmp_path / "photos", "--out", run), "--out: ", "among the photos"
    )
    assert not run.exists()


@pytest.mark.parametrize(
    ("command", "name", "known"),
    [
        ("export", "to", FORMATS),
        ("import-masks", "form", FORMATS),
        ("map", "precision", get_args(Precision)),
        ("map", "targets", get_args(Targets)),
        ("predict", "tta", get_args(Tta)),
        ("score", "absent", get_args(Absent)),
    ],
)
def test_the_choices_of_an_option_are_those_that_the_library_has(
    command: str, name: str, known: Collection[str]
) -> None:
    """They are written again, since `--help` loads neither torch nor numpy."""
    kind, *_ = get_args(inspect.signature(COMMANDS[command]).parameters[name].annotation)
    literal = next(one for one in (kind, *get_args(kind)) if get_origin(one) is Literal)
    assert set(get_args(literal)) == set(known)
