"""Parts, data and studies that others bring: registered by a call, or by an installed package."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import beyondcam as bc
from beyondcam.data import SOURCES
from beyondcam.data.masks import MASKS
from beyondcam.maps import MAPS, Forward
from beyondcam.perturbations import PERTURBATIONS
from beyondcam.recipes import Item, map_items
from beyondcam.refinements import REFINEMENTS
from beyondcam.studies import STUDIES
from conftest import Command, complaint
from networks import photo, tiny

PACKAGE = """
from typing import Literal

import torch

import beyondcam as bc
from beyondcam.perturbations import View
from beyondcam.studies import Finding


class Flat(bc.Map):
    kind: Literal["flat"] = "flat"
    height: float = 1.0

    def __call__(self, forward):
        return forward.inputs.new_full((len(forward.rows), 2, 2), self.height)


class Halves(bc.Perturbation):
    kind: Literal["halves"] = "halves"

    def views(self, image_id, height, width, side, seed):
        yield View((0, 0, height, width // 2), side)
        yield View((0, width // 2, height, width), side)


class Doubled(bc.Refinement):
    kind: Literal["doubled"] = "doubled"

    def __call__(self, photo, maps):
        return 2 * maps


class Misnamed(Doubled):
    pass


def images(place, split, classes, max_pixels):
    pixels = torch.zeros(3, 48, 48, dtype=torch.uint8)
    return bc.LabelledImages(
        data=f"myset:{place}",
        split=split,
        classes=("blue", "red"),
        ids=("a", "b"),
        labels={"a": frozenset({0}), "b": frozenset({0, 1})},
        read=lambda image_id: bc.Photo(pixels + ord(image_id), (48, 48)),
    )


def masks(place, split, classes):
    return bc.Masks(("blue", "red"), lambda image_id: torch.ones(48, 48, dtype=torch.uint8))


def count(workspace):
    return Finding(f"The budget is {workspace.budget.images} images.", ())


COUNTING = bc.Study("How many images are there?", count)
"""

ENTRY_POINTS = """
[beyondcam.maps]
flat = somebodys_package:Flat
cam = somebodys_package:Flat
gone = somebodys_package:Gone
twice = somebodys_package:Flat
twice = another_package:Flat

[beyondcam.perturbations]
halves = somebodys_package:Halves

[beyondcam.refinements]
doubled = somebodys_package:Doubled
other = somebodys_package:Misnamed

[beyondcam.data]
myset = somebodys_package:images

[beyondcam.masks]
myset = somebodys_package:masks

[beyondcam.studies]
counting = somebodys_package:COUNTING
"""

RECIPES = """
[recipes.mine]
map = { kind = "flat", height = 3.0 }
perturbation = { kind = "halves" }
refine = [{ kind = "doubled" }]

[refinements.twice]
kind = "doubled"
"""


@pytest.fixture(autouse=True)
def _registries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test registers is gone after it."""
    for registry in (MAPS, PERTURBATIONS, REFINEMENTS, SOURCES, MASKS, STUDIES):
        monkeypatch.setattr(registry, "kinds", dict(registry.kinds))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with a package, installed as pip leaves it, and a recipes file that names its parts."""
    site = tmp_path / "site"
    facts = site / "somebodys_package-1.0.dist-info"
    facts.mkdir(parents=True)
    (site / "somebodys_package.py").write_text(PACKAGE)
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: somebodys-package\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text(ENTRY_POINTS)
    (tmp_path / "mine.toml").write_text(RECIPES)
    monkeypatch.syspath_prepend(site)
    monkeypatch.setenv("PYTHONPATH", str(site), prepend=":")
    yield tmp_path
    sys.modules.pop("somebodys_package", None)


def test_parts_of_an_installed_package_are_known_to_recipes_and_hashes(installed: Path) -> None:
    assert "somebodys_package" not in sys.modules
    book = bc.Cookbook(installed / "mine.toml")
    recipe = book.recipe("mine")
    assert recipe.source is not None
    assert recipe.source.map.height == 3.0
    assert recipe.model_dump(mode="json")["source"] == {
        "map": {"kind": "flat", "height": 3.0},
        "perturbation": {"kind": "halves"},
        "weight": "none",
        "normalise": False,
    }
    hashes = {recipe.hash, book.recipe("mine+twice").hash, bc.Recipe(source=bc.Source(map="flat")).hash}
    assert len(hashes) == 3
    (results,) = map_items(tiny(), [Item("a", photo(), (0, 2))], {"mine": recipe})
    assert torch.equal(results["mine"].maps, torch.full((2, 40, 56), 6.0))
    assert results["mine"].cost.forward == 2


def test_parts_of_an_installed_package_are_known_to_the_command_line(
    installed: Path, trained: tuple[Path, str], beyondcam: Command
) -> None:
    run = installed / "run"
    run.mkdir()
    for name in ("classifier.safetensors", "config.json"):
        (run / name).write_bytes((trained[0] / name).read_bytes())
    words = ("--recipes", installed / "mine.toml", "--recipe", "mine+twice", "--no-witnesses")
    beyondcam("map", run, "--data", trained[1], "--split", "all", *words)
    (folder,) = (run / "evidence" / "all").iterdir()
    assert folder.name.startswith("mine+twice-")
    assert len(list(folder.glob("*.png"))) == 24


def test_data_and_masks_of_an_installed_package_are_known_to_the_command_line(
    installed: Path, run: Path, beyondcam: Command
) -> None:
    data = ("--data", "myset:anywhere", "--split", "all")
    beyondcam("map", run, *data, "--recipe", "cam", "--no-witnesses")
    beyondcam("score", run, *data, "--threshold", 0)
    rows = json.loads((run / "scores.json").read_text())
    assert {(row["data"], row["images"]) for row in rows} == {("myset:anywhere", 2)}
    assert {row["threshold_rule"] for row in rows} >= {"fixed", "oracle"}


def test_data_without_masks_have_none() -> None:
    def images(place: str, split: str, classes: object, max_pixels: int) -> bc.LabelledImages:
        return bc.LabelledImages(f"bare:{place}", split, ("x",), (), {}, lambda _: photo())

    bc.register_data("bare", images)
    assert bc.open_images("bare:", "all").data == "bare:"
    assert bc.open_masks("bare:", "all") is None
    complaint(lambda: bc.open_images("barn:", "all"), "data: barn:", "folder:PATH", " or bare:PLACE")


def test_a_study_of_an_installed_package_is_listed_and_run(installed: Path, beyondcam: Command) -> None:
    assert beyondcam("study", "--list").stdout.endswith("counting: How many images are there?\n")
    beyondcam("study", "counting", "--images", 7, "--out", installed / "study")
    study = json.loads((installed / "study" / "study.json").read_text())
    assert study["statement"] == "The budget is 7 images."
    assert study["facts"]["question"] == "How many images are there?"


def test_an_installed_package_cannot_replace_what_there_is(installed: Path) -> None:
    assert bc.Source(map="cam").map == bc.maps.CAM()


def test_a_package_that_cannot_be_used_is_one_line(installed: Path) -> None:
    complaint(lambda: bc.Source(map="gone"), "map: 'gone'", "somebodys_package:Gone")
    complaint(lambda: bc.Source(map="twice"), "somebodys_package:Flat and another_package:Flat", "uninstall")
    table = {"kind": "other"}
    complaint(
        lambda: bc.Recipe(source=bc.Source(map="cam"), refine=(table,)), "refinement: 'other'", "doubled"
    )


def test_unknown_parts_are_refused_with_those_there_are(installed: Path) -> None:
    complaint(lambda: bc.Source(map="nonsense"), "map: no map 'nonsense'", "cam", "flat")


def test_a_registered_part_is_known_by_its_name() -> None:
    @bc.register_map
    class Ones(bc.Map):
        kind: str = "ones"

        def __call__(self, forward: Forward) -> torch.Tensor:
            return forward.inputs.new_ones(len(forward.rows), 4, 4)

    assert bc.Source(map="ones").map == Ones()
    assert bc.register_map(Ones) is Ones  # again
    assert bc.Recipe(source=bc.Source(map="ones")).hash == bc.Recipe(source=bc.Source(map=Ones())).hash


def test_a_part_without_a_name_or_with_the_name_of_another_is_refused() -> None:
    class Nameless(bc.Refinement):
        pass

    class Second(bc.Refinement):
        kind: str = "smooth"

    complaint(lambda: bc.register_refinement(Nameless), "refinement: ", "`kind`")
    complaint(lambda: bc.register_refinement(Second), "refinement: 'smooth' is built in")
    complaint(lambda: bc.register_perturbation(Second), "perturbation: ", "Perturbation")
    complaint(lambda: bc.register_map(3), "map: ", "Map")
    complaint(lambda: bc.register_data("voc", print), "data source: 'voc' is built in")
    complaint(lambda: bc.register_data("mine", 3), "data source: ", "not 3")
    complaint(lambda: bc.register_study("mine", print), "study: ", "Study, not")


def test_our_own_parts_need_no_look_at_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: object) -> None:
        raise AssertionError("entry points were read")

    monkeypatch.setattr("beyondcam.registry.entry_points", refuse)
    for name in bc.Cookbook().recipes:
        bc.Cookbook().recipe(name)
    assert bc.open_images("digits", "val_4").ids
    assert bc.open_masks("digits", "val_4")
    assert STUDIES.find("crops")
