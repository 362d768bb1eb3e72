"""Mapping a split where the GPU has too little memory."""

from pathlib import Path

import pytest
import torch

import beyondcam as bc
from conftest import complaint


def short_of_memory(classifier: bc.Classifier, most: int) -> list[int]:
    """Let the classifier run out of memory on more than `most` images; the batches that it is given."""
    batches: list[int] = []

    def look(_: object, args: tuple[torch.Tensor]) -> None:
        batches.append(len(args[0]))
        if len(args[0]) > most:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    classifier.register_forward_pre_hook(look)
    return batches


@pytest.fixture
def run(trained: tuple[Path, str], tmp_path: Path) -> Path:
    (tmp_path / "classifier.safetensors").write_bytes((trained[0] / "classifier.safetensors").read_bytes())
    return tmp_path


def test_batch_is_halved_until_it_fits_and_stays_so(trained: tuple[Path, str], run: Path) -> None:
    classifier = bc.load_classifier(trained[0])
    batches = short_of_memory(classifier, 3)
    images = bc.open_images(trained[1], "all")
    said: list[str] = []
    recipes = {"crops": bc.Cookbook().recipe("crops")}
    assert bc.map_split(classifier, images, recipes, run, batch=8, report=said.append) == {}
    assert said == [f"out of GPU memory; going on with --batch {n}" for n in (4, 2)]
    assert batches[:2] == [8, 4]
    assert set(batches[2:]) == {2}
    assert len(list(run.glob("evidence/*/*/*.png"))) == len(images.ids)


def test_too_little_memory_for_one_view_is_one_line(trained: tuple[Path, str], run: Path) -> None:
    classifier = bc.load_classifier(trained[0])
    short_of_memory(classifier, 0)
    images = bc.open_images(trained[1], "all")
    recipes = {"cam": bc.Cookbook().recipe("cam")}
    complaint(
        lambda: bc.map_split(classifier, images, recipes, run, batch=4, report=lambda _: None), "--batch 1"
    )
