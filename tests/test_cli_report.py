"""`beyondcam explain`: the picture of a photo."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from beyondcam.classifier import load_classifier
from beyondcam.cli.report import explain_command
from beyondcam.data import read_photo
from beyondcam.recipes import Cookbook, Item, map_items
from beyondcam.report import explain, explain_photo
from conftest import Command, complaint, one_line, recipe_options


def test_explain_draws_a_photo_with_a_run(
    run: Path, tmp_path: Path, trained: tuple[Path, str], here: Command
) -> None:
    photo = Path(trained[1].removeprefix("folder:")) / "images" / "p02.png"
    words = ("--model", run, *recipe_options("cam", "saliency"))
    done = here("explain", photo, *words, "--top", 2, "--out", tmp_path / "e.png")
    assert {line.split(":")[0] for line in done.stdout.splitlines()[:2]} == {"red", "blue"}
    with Image.open(tmp_path / "e.png") as picture:
        assert picture.width > picture.height
    assert "e.jpg" in one_line(here("explain", photo, *words, "--out", "e.jpg", status=2))


def test_explain_shows_each_map_under_its_class_and_recipe(
    run: Path, tmp_path: Path, trained: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = read_photo(Path(trained[1].removeprefix("folder:")) / "images" / "p02.png")
    figures: list[Figure] = []
    monkeypatch.setattr(explain, "Figure", lambda *a, **k: figures.append(Figure(*a, **k)) or figures[-1])
    classifier = load_classifier(run)
    recipes = {name: Cookbook().recipe(name) for name in ("cam", "saliency+smooth")}
    named = explain_photo(classifier, photo, recipes, tmp_path / "e.png", top=2)
    for (name, probability), panels in zip(named, np.array(figures[0].axes).reshape(2, 3), strict=True):
        assert panels[0].get_title() == f"{name}  {probability:.2f}"
        item = Item("image", photo, (classifier.classes.index(name),))
        for panel, recipe in zip(panels[1:], recipes, strict=True):
            assert panel.get_title() == recipe
            expected = next(map_items(classifier, [item], {recipe: recipes[recipe]}))[recipe].maps[0]
            shown = panel.get_images()[-1].get_array()
            np.testing.assert_allclose(shown, (expected / expected.max()).sqrt(), atol=1e-5)


def test_explain_writes_names_with_dollars_as_they_are(
    run: Path, tmp_path: Path, trained: tuple[Path, str]
) -> None:
    photo = read_photo(Path(trained[1].removeprefix("folder:")) / "images" / "p02.png")
    classifier = load_classifier(run)
    classifier.classes = ("price $x^{$ tag", "_$_")
    recipes = {"cam": Cookbook().recipe("cam")}
    explain_photo(classifier, photo, recipes, tmp_path / "e.png")
    assert (tmp_path / "e.png").exists()


def test_explain_asks_an_imagenet_classifier_by_default(data: Path, tmp_path: Path, here: Command) -> None:
    photo = data / "coco128" / "images" / "000000000025.jpg"
    words = ["--recipe", "cam", "--recipe", "saliency", "--top", 1, "--out", tmp_path / "e.png"]
    first = here("explain", photo, *words).stdout
    assert first.startswith("cheetah: ")  # of a giraffe, which ImageNet does not know
    assert first.count("\n") == 2
    with Image.open(tmp_path / "e.png") as picture:
        assert picture.width > 2 * picture.height


def test_explain_does_not_overwrite_the_photo(tmp_path: Path, trained: tuple[Path, str]) -> None:
    photo = tmp_path / "explain.png"
    shutil.copy(Path(trained[1].removeprefix("folder:")) / "images" / "p02.png", photo)
    before = photo.read_bytes()
    (tmp_path / "link.png").symlink_to(photo)
    for out in (photo, tmp_path / "link.png"):
        complaint(
            lambda out=out: explain_command(photo, model=trained[0], out=out, recipe=["cam"]),
            "out: ",
            "overwritten",
        )
    assert photo.read_bytes() == before
