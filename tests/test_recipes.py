"""Recipes: what the built-in ones say, how a user's file changes them, and what their hash depends on."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor

from beyondcam import maps
from beyondcam.data import Photo
from beyondcam.maps import MAPS
from beyondcam.perturbations import PERTURBATIONS, Crops, LinearPath, Mask, Noise, Plain, Rise, Scales
from beyondcam.recipes import Cookbook, Recipe, Source
from beyondcam.refinements import REFINEMENTS, Refinement, Resolve, Smooth, Superpixels, Walk, by_maximum
from conftest import complaint

PHOTO = Photo.of(torch.zeros(3, 1, 4, dtype=torch.uint8))


def written(tmp_path: Path, text: str) -> Cookbook:
    (tmp_path / "mine.toml").write_text(text)
    return Cookbook(tmp_path / "mine.toml")


# The built-in recipes


@pytest.mark.parametrize("name", Cookbook().recipes)
def test_every_built_in_recipe_resolves_with_and_without_each_refinement(name: str) -> None:
    plain = Cookbook().recipe(name)
    assert plain.sources()
    assert all(source.map.kind in MAPS.kinds for source in plain.sources())
    for refinement, setting in Cookbook().refinements.items():
        refined = Cookbook().recipe(f"{name}+{refinement}")
        assert refined.refine == (*plain.refine, setting)
        assert refined.sources() == plain.sources()
        assert refined.hash != plain.hash


def test_built_in_recipes_are_the_methods_they_are_named_after() -> None:
    def source(name: str) -> Source:
        (only,) = Cookbook().recipe(name).sources()
        return only

    assert source("cam") == Source(map="cam", perturbation=Plain(size=1.0))
    assert source("cam-ms").perturbation == Scales(sizes=(0.75, 1.0, 1.5), flip=True)
    assert source("saliency") == Source(map="saliency", perturbation=Plain(size=1.0))
    assert isinstance(source("smoothgrad").perturbation, Noise)
    assert isinstance(source("binarymask").perturbation, Mask)
    assert source("crops").map == source("smoothgrad").map == source("binarymask").map == maps.Saliency()
    assert source("crops").weight == "score"
    assert source("crops").normalise
    assert source("crops-cam").map == maps.CAM()
    assert source("crops-cam").weight == "score"
    mean = Cookbook().recipe("crops-mean")
    assert mean.combine == "geometric-mean"
    assert mean.sources() == {source("crops"), source("crops-cam")}


def test_crops_and_their_cam_control_share_the_same_windows() -> None:
    """The control is at equal budget only if it is shown the same crops."""
    ours, control = (next(iter(Cookbook().recipe(name).sources())) for name in ("crops", "crops-cam"))
    assert isinstance(ours.perturbation, Crops)
    assert ours.perturbation == control.perturbation


def test_refinements_follow_in_the_order_they_are_asked_for() -> None:
    refined = Cookbook().recipe("cam+blur+smooth+superpixels")
    assert refined.refine == (Smooth(sigma=0.032), Smooth(sigma=0.016), Superpixels())


def test_best_and_fast_are_what_the_readme_says() -> None:
    best, fast = (Cookbook().recipe(name) for name in ("best", "fast"))
    for recipe, parts in (
        (best, ("crops", "crops", "crops-cam")),
        (fast, (*["saliency-fine"] * 2, "cam-fine")),
    ):
        assert recipe.combine == "geometric-mean"
        assert recipe.of == tuple(map(Cookbook().recipe, parts))
        assert [refinement.kind for refinement in recipe.refine] == ["walk", "affinity", "closer"]
    views = {source.perturbation for source in fast.sources()}
    assert views == {Plain(size=1.25), Plain(size=1.5)}
    assert {
        Plain(size=size) for size in fast.affinity_sizes()
    } < views  # so that no pass is made for affinities alone


def test_recipes_named_after_maps_of_other_authors_are_these_maps() -> None:
    for name in ("gradcam", "gradcam++", "layercam", "hirescam", "input-x-gradient"):
        assert Cookbook().recipe(name) == Recipe(source=Source(map=name))
        assert Cookbook().recipe(f"{name}+smooth").refine == (Smooth(),)
    path = Source(map="input-x-gradient", perturbation=LinearPath(steps=32))
    assert Cookbook().recipe("integrated-gradients") == Recipe(source=path)
    rise = Source(map="visible", perturbation=Rise(n=512, cells=7, rate=0.5), weight="score")
    assert Cookbook().recipe("rise") == Recipe(source=rise)


# Settings


def test_a_map_is_written_as_a_name_a_table_or_a_setting() -> None:
    for same in ("gradcam", {"kind": "gradcam"}, {"kind": "gradcam", "layer": ""}, maps.GradCAM()):
        source = Source(map=same)
        assert source == Source(map="gradcam")
        assert source.model_dump(mode="json")["map"] == "gradcam"
    source = Source(map={"kind": "gradcam", "layer": "layer3"})
    assert source.map == maps.GradCAM(layer="layer3")
    assert source.model_dump(mode="json")["map"] == {"kind": "gradcam", "layer": "layer3"}
    assert Source.model_validate(source.model_dump(mode="json")) == source
    table = {"kind": "crops", "n": 3}
    assert Source(map="cam", perturbation=table) == Source(map="cam", perturbation=Crops(n=3))


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"map": "nonsense"}, ["map: ", "'nonsense'", "saliency", "gradcam++"]),
        ({"map": {"kind": "nonsense"}}, ["map: ", "'nonsense'"]),
        ({"map": {"layer": "3"}}, ["map: ", "`kind`"]),
        ({"map": {"kind": "cam", "layer": "3"}}, ["map.layer"]),
        ({"map": 3}, ["map: ", "3"]),
        ({}, ["map: "]),
        ({"map": "cam", "perturbation": {"kind": "nonsense"}}, ["perturbation: ", "'nonsense'", "crops"]),
        ({"map": "cam", "perturbation": {"kind": "crops", "n": 0}}, ["perturbation.n: "]),
        ({"map": "cam", "perturbation": "crops"}, ["perturbation: "]),
        ({"map": "cam", "weight": "size"}, ["weight: "]),
        ({"map": "cam", "colour": 1}, ["colour: "]),
    ],
)
def test_an_unusable_source_is_refused_where_it_is_written_in_one_line(
    setting: dict[str, object], words: list[str]
) -> None:
    assert complaint(lambda: Source(**setting), *words).startswith(words[0])


# A user's file


def test_recipe_of_a_users_file_overrides_the_built_in_of_its_name(tmp_path: Path) -> None:
    book = written(
        tmp_path,
        """
        [recipes.crops]
        map = "saliency"
        perturbation = { kind = "crops", n = 7, scale = [0.5, 0.6] }

        [recipes.mine]
        map = "cam"
        perturbation = { kind = "scales", sizes = [1, 224], flip = false }
        refine = [{ kind = "smooth", sigma = 0.05 }, { kind = "superpixels", number = 50 }]

        [refinements.smooth]
        kind = "smooth"
        sigma = 0.5
        """,
    )
    crops = Source(map="saliency", perturbation=Crops(n=7, scale=(0.5, 0.6)))
    assert book.recipe("crops") == Recipe(source=crops)
    assert book.recipe("crops") != Cookbook().recipe("crops")
    mine = Source(map="cam", perturbation=Scales(sizes=(1, 224), flip=False))
    assert book.recipe("mine") == Recipe(source=mine, refine=(Smooth(sigma=0.05), Superpixels(number=50)))
    assert book.recipe("cam+smooth").refine == (Smooth(sigma=0.5),)
    assert book.recipe("cam") == Cookbook().recipe("cam")  # the rest is still there
    assert crops in book.recipe("crops-mean").sources()  # and what is made of it follows
    assert "mine" not in Cookbook().recipes  # in that file alone


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[recipes.x]\nmap = 'cam'\nnoise = 3", ["recipes.x.noise"]),
        ("[recipes.x]\nmap = 'heat'", ["recipes.x.map", "'heat'", "cam"]),
        ("[recipes.x]\nmap = {kind = 'gradcam', depth = 3}", ["recipes.x.map.depth"]),
        ("[recipes.x]\nmap = {layer = 'a'}", ["recipes.x.map", "kind"]),
        ("[recipes.x]\nmap = 'cam'\nweight = 'size'", ["recipes.x.weight", "'score'"]),
        ("[recipes.x]\nmap = 'cam'\nperturbation = {kind = 'crops', m = 3}", ["recipes.x.perturbation", "m"]),
        ("[recipes.x]\nmap = 'cam'\nperturbation = {kind = 'zoom'}", ["recipes.x.perturbation", "'zoom'"]),
        ("[recipes.x]\nmap = 'cam'\nperturbation = {n = 3}", ["recipes.x.perturbation", "kind"]),
        ("[recipes.x]\nmap = 'cam'\nrefine = [{kind = 'polish'}]", ["recipes.x.refine.0", "'polish'"]),
        ("[recipes.x]\nmap = 'cam'\nrefine = ['smooth']", ["recipes.x.refine.0"]),
        ("[refinements.x]\nkind = 'smooth'\nsigma = -1", ["refinements.x", "sigma"]),
        ("[refinement.x]\nkind = 'smooth'", ["refinement"]),
        ("[recipes.'a/b']\nmap = 'cam'", ["a/b"]),  # names become folders
        ("[recipes.'..']\nmap = 'cam'", [".."]),
        ("[recipes.'a+b']\nmap = 'cam'", ["a+b"]),  # `+` joins recipes and refinements
        ("[refinements.'a+b']\nkind = 'smooth'", ["a+b"]),
        ("[recipes.x]\nmap = ", ["TOML"]),
        ("[recipes.x]\nmap = 'cam'\n[recipes.x]\nmap = 'cam'", ["TOML"]),
    ],
)
def test_mistake_in_a_users_file_is_one_line_that_names_file_and_field(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    complaint(lambda: written(tmp_path, text), "mine.toml", *words)


def test_users_file_that_cannot_be_read_is_one_line_that_names_it(tmp_path: Path) -> None:
    complaint(lambda: Cookbook(tmp_path / "none.toml"), "none.toml")
    complaint(lambda: Cookbook(tmp_path), str(tmp_path))
    (tmp_path / "latin.toml").write_bytes(b"# gr\xf6\xdfe")
    complaint(lambda: Cookbook(tmp_path / "latin.toml"), "latin.toml")


def test_unknown_recipe_and_refinement_are_one_line_that_says_which_there_are() -> None:
    complaint(lambda: Cookbook().recipe("kam"), "'kam'", "cam-ms", "crops")
    complaint(lambda: Cookbook().recipe(""), "cam-ms")
    complaint(lambda: Cookbook().recipe("cam+smoth"), "'smoth'", "smooth, blur")
    complaint(lambda: Cookbook().recipe("cam+"), "'cam+'", "cam-ms")


def test_unknown_part_of_a_combination_is_one_line_that_names_the_combination(tmp_path: Path) -> None:
    book = written(tmp_path, "[recipes.mine]\ncombine = 'mean'\nof = ['cam', 'kam']")
    first, _, _ = complaint(lambda: book.recipe("mine")).partition("; there are")
    assert "'kam'" in first
    assert "mine" in first


@pytest.mark.parametrize(
    "text",
    [
        "[recipes.x]\ncombine = 'mean'\nof = ['x', 'cam']",
        "[recipes.x]\ncombine = 'mean'\nof = ['cam', 'x']",
        "[recipes.x]\ncombine = 'mean'\nof = ['cam', 'y']\n[recipes.y]\ncombine = 'mean'\nof = ['cam', 'x']",
        "[recipes.x]\ncombine = 'mean'\nof = ['cam', 'x+smooth']",
    ],
    ids=["itself-first", "itself-last", "each-other", "refined"],
)
def test_recipe_that_leads_back_to_itself_is_one_line_that_names_the_field(tmp_path: Path, text: str) -> None:
    book = written(tmp_path, text)
    complaint(lambda: book.recipe("x"), "`of`")
    assert book.recipe("cam") == Cookbook().recipe("cam")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "of = ['cam', 'crops']",
        "combine = 'mean'",
        "combine = 'mean'\nof = ['cam']",
        "map = 'cam'\ncombine = 'mean'",
        "map = 'cam'\nof = ['cam', 'crops']",
        "map = 'cam'\ncombine = 'mean'\nof = ['cam', 'crops']",
        "combine = 'mean'\nof = ['cam', 'crops']\nnormalise = true",
        "combine = 'mean'\nof = ['cam', 'crops']\nweight = 'score'",
        "combine = 'mean'\nof = ['cam', 'crops']\nperturbation = {kind = 'noise'}",
    ],
)
def test_recipe_that_is_neither_a_map_nor_a_combination_or_both_is_refused(tmp_path: Path, text: str) -> None:
    """What a recipe says is never passed over in silence."""
    complaint(lambda: written(tmp_path, f"[recipes.mine]\n{text}").recipe("mine"), "mine")


# Hashes

HASHES = {
    "cam": "2db14c46ee",
    "cam-ms": "cb3ee97609",
    "crops-cam": "4aa7f9e5fa",
    "crops-cam-normalised": "aad78ebb65",
    "saliency": "362baa5058",
    "smoothgrad": "d64e457ced",
    "smoothgrad-squared": "f46f8af2e7",
    "vargrad": "abbf305466",
    "binarymask": "defa643059",
    "crops-raw": "9dc8521660",
    "crops": "64014c7ee7",
    "crops-mean": "50a5d2f6dd",
    "gradcam": "7dfddd0dc9",
    "gradcam++": "5bcb3a4a95",
    "layercam": "022206ac43",
    "hirescam": "e858a1cced",
    "input-x-gradient": "c046eed4ae",
    "integrated-gradients": "294dc727cd",
    "rise": "02958f87fa",
    "centre": "7188dacfd1",
    "contrast": "3b7670dc74",
    "spectral-residual": "bce1ce5b5a",
    "best": "7f5044a3e6",
    "cam-fine": "c698ce5040",
    "saliency-fine": "ae3edb1750",
    "fast": "e48eb7d74a",
    "witness-saliency": "f67d9d12b4",
    "witness-cam": "6b91f29d87",
    "cam+smooth": "ec26071b8d",
    "cam+blur": "0ce8e400a2",
    "cam+superpixels": "578486752e",
    "cam+resolve": "90eb28071f",
    "cam+walk": "c885bb8b0f",
    "cam+affinity": "af7e22a5d0",
    "cam+crf": "1cd59ca64d",
}
"""As at version 0.1: evidence is kept under them, so a change of one would make users map everything anew."""


@pytest.mark.parametrize("name", HASHES)
def test_hashes_of_the_built_in_recipes_are_those_that_evidence_was_made_with(name: str) -> None:
    assert Cookbook().recipe(name).hash == HASHES[name]


def test_every_built_in_recipe_has_its_hash_there() -> None:
    assert Cookbook().recipes.keys() <= HASHES.keys()


def another(value: object) -> object:
    """A valid value other than the given one, for any field of a perturbation or refinement."""
    match value:
        case bool():
            return not value
        case int():
            return value + 1
        case float():
            return value * 0.9
        case tuple():
            return tuple(another(one) for one in value)
        case Walk():
            return value.model_copy(update={"steps": value.steps + 1})
    return {"image": "square", "gaussian": "uniform"}[value]


def variants(setting: BaseModel) -> list[BaseModel]:
    """The setting with each of its fields, but `kind`, changed alone."""
    return [setting.model_copy(update={name: another(value)}) for name, value in setting if name != "kind"]


def test_hash_changes_with_every_field_of_everything_in_a_recipe() -> None:
    perturbations = [v for kind in PERTURBATIONS.kinds.values() for v in (kind(), *variants(kind()))]
    refinements = [v for kind in REFINEMENTS.kinds.values() for v in (kind(), *variants(kind()))]
    names = [name for name in MAPS.kinds if name != "captum"]
    tables = [
        {"kind": kind, "layer": layer}
        for kind in ("gradcam", "gradcam++", "layercam", "hirescam")
        for layer in ("1", "2")
    ]
    cam, saliency = Recipe(source=Source(map="cam")), Recipe(source=Source(map="saliency"))
    recipes = [
        *(Recipe(source=Source(map=name, perturbation=p)) for name in names for p in perturbations),
        *(Recipe(source=Source(map=table)) for table in tables),
        *(Recipe(source=Source(map="cam"), refine=(r,)) for r in refinements),
        Recipe(source=Source(map="cam", weight="score")),
        Recipe(source=Source(map="cam", weight="share")),
        Recipe(source=Source(map="cam", normalise=True)),
        Recipe(source=Source(map="cam", statistic="square")),
        Recipe(source=Source(map="cam", statistic="variance")),
        Recipe(source=Source(map="cam"), refine=(Smooth(), Superpixels())),
        Recipe(source=Source(map="cam"), refine=(Superpixels(), Smooth())),
        Recipe(source=Source(map="cam"), refine=(Smooth(), Smooth())),
        Recipe(combine="mean", of=(cam, saliency)),
        Recipe(combine="geometric-mean", of=(cam, saliency)),
        Recipe(combine="mean", of=(saliency, cam)),
        Recipe(combine="mean", of=(cam, saliency, cam)),
        Recipe(combine="mean", of=(cam, saliency), refine=(Smooth(),)),
        Recipe(combine="mean", of=(cam, Recipe(source=Source(map="saliency"), refine=(Smooth(),)))),
    ]
    assert len(perturbations) > 15
    assert len(refinements) > 10
    hashes = [recipe.hash for recipe in recipes]
    assert len(set(hashes)) == len(hashes)
    assert all(len(h) == 10 and int(h, 16) >= 0 for h in hashes)


def test_hash_does_not_depend_on_how_a_recipe_is_written(tmp_path: Path) -> None:
    book = written(
        tmp_path,
        "[recipes.a]\nmap = 'saliency'\nnormalise = true\nweight = 'score'\nperturbation = {kind = 'crops'}\n"
        "[recipes.b]\nperturbation = {size = 1.0, n = 32, kind = 'crops', scale = [0.3, 0.8]}\n"
        "weight = 'score'\nnormalise = true\nmap = 'saliency'\nrefine = []",
    )
    assert book.recipe("a").hash == book.recipe("b").hash == Cookbook().recipe("crops").hash


def test_hash_and_draws_are_the_same_in_another_process() -> None:
    program = """if True:
        import json
        from beyondcam.perturbations import Crops
        from beyondcam.recipes import Cookbook

        hashes = {name: Cookbook().recipe(name + "+smooth").hash for name in Cookbook().recipes}
        print(json.dumps([hashes, [view.window for view in Crops(n=9).views("a", 37, 51, 64, 5)]]))
    """
    other = os.environ | {"PYTHONHASHSEED": "12345"}
    done = subprocess.run([sys.executable, "-c", program], env=other, capture_output=True, check=True)
    hashes, windows = json.loads(done.stdout)
    assert hashes == {name: Cookbook().recipe(f"{name}+smooth").hash for name in Cookbook().recipes}
    assert [tuple(w) for w in windows] == [v.window for v in Crops(n=9).views("a", 37, 51, 64, 5)]


# Maps to maps


CAM, SALIENCY = Source(map="cam"), Source(map="saliency")
RAW = {
    CAM: torch.tensor([[[0.0, 2.0, 4.0, 1.0]], [[1.0, 1.0, 0.5, 0.0]]]),
    SALIENCY: torch.tensor([[[9.0, 3.0, 1.0, 0.0]], [[0.0, 0.0, 0.0, 0.0]]]),
}
PARTS = (Recipe(source=CAM), Recipe(source=SALIENCY))


def test_recipe_of_one_source_gives_its_raw_maps() -> None:
    assert torch.equal(Recipe(source=CAM).finish(PHOTO, RAW), RAW[CAM])


def test_geometric_mean_is_taken_of_maps_by_their_maxima() -> None:
    maps = Recipe(combine="geometric-mean", of=PARTS).finish(PHOTO, RAW)
    by_hand = [0, math.sqrt(2 / 4 * 3 / 9), math.sqrt(1 * 1 / 9), 0]
    assert torch.allclose(maps[0, 0], torch.tensor(by_hand))
    assert torch.equal(maps[1], torch.zeros(1, 4))  # one part saw nothing: the mean is zero, not NaN


def test_mean_is_taken_of_maps_by_their_maxima() -> None:
    maps = Recipe(combine="mean", of=PARTS).finish(PHOTO, RAW)
    assert torch.allclose(maps[0, 0], torch.tensor([0.5, (0.5 + 1 / 3) / 2, (1 + 1 / 9) / 2, 0.125]))
    assert torch.allclose(maps[1, 0], torch.tensor([0.5, 0.5, 0.25, 0]))


def test_geometric_mean_of_three_takes_the_cube_root_and_of_equals_changes_nothing() -> None:
    three = Recipe(combine="geometric-mean", of=(PARTS[0], PARTS[0], PARTS[1])).finish(PHOTO, RAW)
    assert three[0, 0, 1].item() == pytest.approx((0.5 * 0.5 / 3) ** (1 / 3))
    same = Recipe(combine="geometric-mean", of=(PARTS[0],) * 3).finish(PHOTO, RAW)
    assert torch.allclose(same, by_maximum(RAW[CAM]))


def test_parts_are_refined_before_they_are_combined_and_the_whole_afterwards() -> None:
    photo = Photo.of(torch.zeros(3, 1, 40, dtype=torch.uint8))
    point, flat = torch.zeros(1, 1, 40), torch.ones(1, 1, 40)
    point[0, 0, 20] = 1
    raw = {CAM: point, SALIENCY: flat}
    smooth = Smooth(sigma=0.05)
    before = Recipe(combine="geometric-mean", of=(Recipe(source=CAM, refine=(smooth,)), PARTS[1]))
    after = Recipe(combine="geometric-mean", of=PARTS, refine=(smooth,))
    bell = torch.exp(-((torch.arange(40) - 20.0) ** 2) / (2 * 2.0**2))  # two pixels of forty
    near = slice(14, 27)
    assert torch.allclose(before.finish(photo, raw)[0, 0, near], bell.sqrt()[near], atol=1e-3)
    assert torch.allclose(
        after.finish(photo, raw)[0, 0, near], bell[near] / (2 * math.sqrt(2 * math.pi)), atol=1e-3
    )


def test_refinements_run_one_after_the_other() -> None:
    maps = torch.rand(2, 30, 40, generator=torch.Generator().manual_seed(0))
    photo = Photo.of((torch.arange(3 * 30 * 40) % 251).view(3, 30, 40).to(torch.uint8))
    steps = (Smooth(sigma=0.1), Resolve(number=20), Superpixels(number=9))
    by_hand = steps[2](photo, steps[1](photo, steps[0](photo, maps)))
    assert torch.equal(Recipe(source=CAM, refine=steps).finish(photo, {CAM: maps}), by_hand)


def test_a_refinement_that_takes_stages_gets_the_unrefined_maps_and_those_after_each_refinement() -> None:
    calls: list[list[Tensor]] = []

    class Recorder(Refinement):
        takes_stages: ClassVar[bool] = True
        kind: str = "recorder"

        def __call__(self, photo: Photo, maps: Tensor, stages: Sequence[Tensor]) -> Tensor:
            calls.append([*stages, maps])
            return maps + 1

    maps = torch.rand(2, 30, 40, generator=torch.Generator().manual_seed(0))
    photo = Photo.of((torch.arange(3 * 30 * 40) % 251).view(3, 30, 40).to(torch.uint8))
    smooth = Smooth(sigma=0.1)
    refined = Recipe(source=CAM, refine=(Recorder(), smooth, Recorder())).finish(photo, {CAM: maps})
    smoothed = smooth(photo, maps + 1)
    for call, expected in zip(calls, [(maps, maps), (maps, maps + 1, smoothed, smoothed)], strict=True):
        assert all(torch.equal(*pair) for pair in zip(call, expected, strict=True))
    assert torch.equal(refined, smoothed + 1)


class Halve(Refinement):
    """Gives half of the maps, or of what it is told to make of them."""

    kind: Literal["halve"] = "halve"
    how: str = "as it should"

    def __call__(self, photo: Photo, maps: Tensor) -> Tensor:
        made = {"rows": maps[:, :1], "sign": -maps, "nan": maps * math.nan, "inf": maps / 0, "list": [maps]}
        return maps.div_(2) if self.how == "in place" else made.get(self.how, maps / 2)


@pytest.mark.parametrize(
    ("how", "named"),
    [
        ("rows", "gives (2, 1, 4) for maps (2, 3, 4)"),
        ("list", "gives a list for maps (2, 3, 4)"),
        ("sign", "gives -0.5 to -0.5; finite numbers from 0"),
        ("nan", "gives nan to nan"),
        ("inf", "gives inf to inf"),
        ("in place", "work on a copy"),
    ],
)
def test_what_a_refinement_must_not_do_is_said_of_it(how: str, named: str) -> None:
    raw = {CAM: torch.ones(2, 3, 4)}
    right = Recipe(source=CAM, refine=(Halve(), Halve())).finish(PHOTO, raw)
    assert torch.equal(right, torch.full((2, 3, 4), 0.25))
    recipe = Recipe(source=CAM, refine=(Halve(), Halve(how=how)))
    complaint(lambda: recipe.finish(PHOTO, raw), "refinement halve: ", named)
    with torch.inference_mode():
        assert torch.equal(
            Recipe(source=CAM, refine=(Halve(),)).finish(PHOTO, {CAM: raw[CAM] * 1}), right * 2
        )


def test_a_registered_kind_may_follow_a_recipes_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Needy(Refinement):
        kind: Literal["needy"] = "needy"
        amount: float

    monkeypatch.setattr(REFINEMENTS, "kinds", REFINEMENTS.kinds | {"halve": Halve, "needy": Needy})
    assert Cookbook().recipe("cam+smooth+halve").refine == (Smooth(), Halve())
    complaint(lambda: Cookbook().recipe("cam+needy"), "recipe: cam+needy: needy: amount: Field required")
    complaint(lambda: Cookbook().recipe("cam+halv"), "'halv'", "blur", "halve")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"map": "cam"}, "map: "),
        ({}, "`combine`"),
        ({"source": CAM, "combine": "mean"}, "a recipe has either"),
        ({"source": CAM, "refine": ({"kind": "smooth", "sigma": -1},)}, "refine.0.sigma: "),
        ({"source": {"map": "captum"}}, "method"),
    ],
)
def test_a_wrong_recipe_is_one_line(settings: dict[str, Any], named: str) -> None:
    complaint(lambda: Recipe(**settings), named)


def test_by_maximum_keeps_an_all_zero_map_and_subtracts_no_minimum() -> None:
    maps = torch.tensor([[[2.0, 4.0]], [[0.0, 0.0]], [[1e-30, 5e-31]]])
    assert torch.allclose(by_maximum(maps), torch.tensor([[[0.5, 1.0]], [[0.0, 0.0]], [[1.0, 0.5]]]))
