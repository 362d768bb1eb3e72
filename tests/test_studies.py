"""Studies: each from nothing to its page on a tiny budget, and the numbers that theory fixes."""

import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from beyondcam.evidence import Evidence, mapper
from beyondcam.maps import run_forward
from beyondcam.perturbations import Crops, Noise, Plain
from beyondcam.recipes import Cookbook, engine
from beyondcam.studies import STUDIES, Bench, Budget, run_study
from beyondcam.studies.bench import difference, of_images, passes, row_of, smoothed
from beyondcam.studies.finding import Finding, Plot, Table, cell, signed
from conftest import Command, complaint

TINY = Budget(train=40, epochs=1, images=6, repeats=2)
CROPS, HONESTY, WINDOW, REGIONS, PERTURBATIONS = (
    sys.modules[f"beyondcam.studies.{name}"]
    for name in ("crops", "honesty", "window", "regions", "perturbations")
)


@pytest.fixture
def run(trained: tuple[Path, str]) -> Path:
    """A RUN that is studied, and stays as it is."""
    return trained[0]


@pytest.fixture(autouse=True)
def little_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CROPS, "COUNTS", (1, 2, 4))
    monkeypatch.setattr(CROPS, "N", 2)
    monkeypatch.setattr(CROPS, "DRAWN", 2)
    monkeypatch.setattr(CROPS, "DRAWS", 2)
    monkeypatch.setattr(HONESTY, "LOOKED_AT", 2)
    monkeypatch.setattr(WINDOW, "KERNELS", (1, 3))
    monkeypatch.setattr(WINDOW, "OTHERS", ())
    monkeypatch.setattr(PERTURBATIONS, "TUNED", PERTURBATIONS.TUNED[:1])


def bench_on(tmp_path: Path, run: Path) -> Bench:
    return Bench(tmp_path, TINY, run, lambda _: None)


# The pipeline of studies


def test_a_run_that_is_studied_stays_as_it_is(tmp_path: Path, run: Path) -> None:
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    bench = bench_on(tmp_path, run)
    subject = bench.subject()
    bench.mapped(of_images(subject, subject.images.ids[:1]), {"cam": Cookbook().recipe("cam")})
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_images_are_so_many_evenly_spread_over_the_whole_split(tmp_path: Path, run: Path) -> None:
    def chosen(images: int) -> list[str]:
        return list(Bench(tmp_path, replace(TINY, images=images), run, print).opened(run, "all").images.ids)

    labelled = chosen(1000)
    assert len(labelled) == 18  # of 24 discs, every fourth shows none
    where = [labelled.index(i) for i in chosen(11)]
    assert len(where) == 11
    assert (where[0], where[-1]) == (0, 16)
    assert set(np.diff(where)) == {1, 2}


def test_images_that_were_trained_on_are_owned_up_to(tmp_path: Path, run: Path) -> None:
    bench = bench_on(tmp_path, run)  # the discs were trained on --split all
    count = len(bench.subject().images.ids)
    assert bench.notes["trained on"] == f"{count} of the {count} images"


def test_a_folder_of_another_budget_is_refused(tmp_path: Path, run: Path) -> None:
    bench_on(tmp_path, run).trained("own", epochs=1)
    complaint(lambda: bench_on(tmp_path, run).trained("own", epochs=2), "--out", "own")


def test_passes_declared_are_the_passes_made(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = bench_on(tmp_path, run)
    subject = bench.subject()
    recipes = {
        "cam": Cookbook().recipe("cam"),
        "few": smoothed("saliency", perturbation=Crops(n=2)),
        "more": smoothed("saliency", perturbation=Crops(n=5), weight="score"),
        "of cam": smoothed("cam", perturbation=Crops(n=7)),
        "noise": smoothed("cam", perturbation=Noise(n=3, size=0.5)),
    }
    shown = {False: 0, True: 0}
    pixels = 0.0

    def counting(classifier, inputs, targets, *, gradient: bool):
        nonlocal pixels
        forward = run_forward(classifier, inputs, targets, gradient=gradient)
        shown[False] += len(inputs)
        shown[True] += len(forward.rows) * gradient
        pixels += (len(inputs) + len(forward.rows) * gradient) * inputs.shape[-1] ** 2
        return forward

    monkeypatch.setattr(engine, "run_forward", counting)
    declared = passes(subject, recipes.values())
    bench.mapped(subject, recipes)
    assert declared.forward == shown[False] == len(subject.images.ids) * (1 + 7 + 3)
    # differentiated are all of the views that nest, though only saliency's five are charged
    targets = sum(len(subject.images.labels[i]) for i in subject.images.ids)
    assert declared.backward == shown[True] == targets * 7
    assert declared.megapixels == pytest.approx(pixels / 1e6)
    assert bench.cost == declared


def test_the_reference_has_dr_recall_1_and_differences_are_those_of_the_rows(
    tmp_path: Path, run: Path
) -> None:
    bench = bench_on(tmp_path, run)
    subject = bench.subject()
    found = bench.mapped(subject, {name: Cookbook().recipe(name) for name in ("cam", "saliency+smooth")})
    scores = bench.scored(subject, found, threshold=0.3)
    for rule in ("oracle", "fixed"):
        reference, other = (row_of(scores, name, rule) for name in ("cam", "saliency+smooth"))
        assert reference["dr_recall"] == 1
        assert not reference["ndr_recall"]  # 0, or null where CAM finds every pixel
        for metric in ("miou", "fg_precision"):
            value, low, high = difference(scores, "saliency+smooth", "cam", metric, rule)
            assert value == pytest.approx(other[metric] - reference[metric])
            assert low <= high
            assert difference(scores, "cam", "saliency+smooth", metric, rule) == (-value, -high, -low)


def test_only_the_evidence_asked_about_is_scored(tmp_path: Path, run: Path) -> None:
    bench = bench_on(tmp_path, run)
    subject = bench.subject()
    found = bench.mapped(subject, {name: Cookbook().recipe(name) for name in ("cam", "cam-ms")})
    bench.mapped(subject, {"cam": Cookbook().recipe("cam")}, seed=1)
    scores = bench.scored(subject, {"cam": found["cam"]})
    assert [(row["recipe"], row["seed"]) for row in scores.rows] == [("cam", 0)]


def test_what_is_kept_is_made_once_for_the_same_images(tmp_path: Path, run: Path) -> None:
    bench, made = bench_on(tmp_path, run), []
    subject = bench.subject()
    some = of_images(subject, subject.images.ids[:1])
    for own in (subject, subject, some, some):
        assert bench.kept("x", own, lambda: made.append(1) or {"a": [1.5]}) == {"a": [1.5]}
    assert made == [1, 1]


# Each study


@pytest.mark.parametrize("name", STUDIES)
def test_a_study_goes_from_a_run_to_its_page_and_does_nothing_twice(
    name: str, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    studied = None if name == "window" else run  # which trains its own
    assert run_study(name, tmp_path, TINY, studied, f"beyondcam study {name}", said.append) == {}
    study = json.loads((tmp_path / "study.json").read_text())
    page, markdown = ((tmp_path / f).read_text() for f in ("index.html", "study.md"))
    assert study["facts"]["command"] == f"beyondcam study {name}"
    assert study["statement"] in markdown
    assert "[" in study["statement"]  # an interval
    for table in study["tables"]:
        assert table["rows"]
        assert all(len(row) == len(table["head"]) for row in table["rows"])
        assert table["title"] in markdown
    assert page.count("<table") == len(study["tables"])
    assert page.count("<figure") == len(study["plots"])
    assert any("forward passes" in line for line in said)

    monkeypatch.setattr(mapper, "raw_maps", lambda *_, **__: pytest.fail("mapped again"))
    assert run_study(name, tmp_path, TINY, studied, "again", said.append) == {}
    again = json.loads((tmp_path / "study.json").read_text())
    assert {**again, "facts": None} == {**study, "facts": None}
    assert {**again["facts"], "command": None} == {**study["facts"], "command": None}


def test_perturbations_are_compared_at_equal_cost_and_alike_in_all_else(tmp_path: Path, run: Path) -> None:
    subject = bench_on(tmp_path, run).subject()
    every = PERTURBATIONS.named(PERTURBATIONS.NOISES) | PERTURBATIONS.named(PERTURBATIONS.MASKS)
    recipes = PERTURBATIONS.recipes_of(every)
    for of in ("saliency", "cam"):
        own = [recipes[f"{of} {name}"] for name in (*every, "crops")]
        costs = [passes(subject, [recipe]) for recipe in own]
        assert all(cost == costs[0] for cost in costs)
        settings = {recipe.source.model_copy(update={"perturbation": Plain()}) for recipe in own}
        assert len(settings) == 1
        one = passes(subject, [recipes[f"{of} plain"]])
        assert costs[0].forward == PERTURBATIONS.N * one.forward
    assert len(every) == len(PERTURBATIONS.NOISES) + len(PERTURBATIONS.MASKS)  # no name is given twice


def test_crops_compares_each_recipe_once_and_varies_one_thing_at_a_time() -> None:
    recipes = CROPS.menu()
    assert len({recipe.hash for recipe in recipes.values()}) == len(recipes)
    usual = recipes[f"saliency n={CROPS.N}"].source
    for name, recipe in recipes.items():
        if name.startswith("saliency") and "weight" not in name:
            assert recipe.source.model_copy(update={"perturbation": usual.perturbation}) == usual
        if "weight" in name:
            assert recipe.source.perturbation == usual.perturbation


def test_stability_is_the_deviation_over_draws_by_that_over_pixels() -> None:
    """Two draws of 2 pixels, v = (1, 0.25) and (0.25, 1): by their mean 1.6 and 0.4, ±0.6 over either."""
    draws = [Evidence(np.array([[v]]), (0,), (1.0,), (0.0,), (1, 2)) for v in ((255, 127.5), (127.5, 255))]
    assert CROPS.deviation(draws) == pytest.approx(1.2 / 2**0.5 / 0.6)
    assert CROPS.deviation([draws[0], draws[0]]) == 0


def test_pairs_turned_round_are_those_decided_both_ways() -> None:
    oracle = {("a", "b"): True, ("a", "c"): False, ("b", "c"): True}
    assert HONESTY.turned_round(oracle, {("a", "b"): False, ("a", "c"): False, ("c", "d"): True}) == 1
    assert HONESTY.turned_round(oracle, oracle) == 0
    table = HONESTY.pairs_by_rule({"oracle": oracle, "fixed": {("a", "b"): False, ("b", "c"): True}})
    assert table.rows[1] == ("fixed", f"2 of {HONESTY.PAIRS}", "1", "1")


def test_cascade_ends_with_every_parameter_random_and_leaves_the_classifier_alone(
    tmp_path: Path, run: Path
) -> None:
    subject = bench_on(tmp_path, run).subject()
    subject = of_images(subject, subject.images.ids[:2])
    before = {k: v.clone() for k, v in subject.classifier.state_dict().items()}
    fresh = []
    for classifier in HONESTY.randomisations(subject.classifier):
        parameters = dict(classifier.named_parameters())
        fresh.append({name for name, own in parameters.items() if not torch.equal(own, before[name])})
    assert [len(names) for names in fresh[:2]] == [0, 1]
    assert all(a < b for a, b in pairwise(fresh))
    assert fresh[-1] == set(parameters)
    names = HONESTY.RANDOMISED
    found = HONESTY.cascade(subject, {name: Cookbook().recipe(name) for name in names})
    assert all(steps[0]["correlations"] == pytest.approx([1, 1]) for steps in found.values())
    assert all(max(steps[-1]["correlations"]) < 0.99 for steps in found.values())
    assert all(torch.equal(v, before[k]) for k, v in subject.classifier.state_dict().items())


def test_the_highest_pixels_are_q_and_ties_share_what_is_left() -> None:
    values = np.array([[5, 3, 3], [3, 1, 9]])
    assert REGIONS.highest(values, 2).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert REGIONS.highest(values, 4).tolist() == [[1, 2 / 3, 2 / 3], [2 / 3, 0, 1]]
    assert REGIONS.highest(values, 6).tolist() == [[1, 1, 1], [1, 1, 1]]
    assert REGIONS.highest(values, 0).sum() == 0


def test_regions_of_an_image_are_counted_as_by_hand() -> None:
    """One row: CAM finds the first two of four object pixels; the last two are background, one is void."""
    truth = np.array([[1, 1, 1, 1, 255, 0, 0]], np.uint8)
    found = np.array([[[200, 200, 0, 0, 0, 0, 0]]], np.uint8)
    own = np.array([[[90, 10, 80, 30, 99, 20, 40]]], np.uint8)
    cam, saliency = (Evidence(v, (0,), (1.0,), (0.0,), (1, 7)) for v in (found, own))
    (parts, wholes), bins = REGIONS.count(saliency, cam, truth, 100, steps=(1, 0.1))
    # two in DR, so the two highest that are not void: 90 (DR) and 80 (NDR)
    assert dict(zip(REGIONS.NAMES, parts, strict=True)) == {
        "HSR in DR": 1, "HSR in NDR": 1, "HSR elsewhere": 0, "NDR in HSR": 1,
        "NDR above background": 1,  # 80 is above the background's median of 30, 30 is not
    }  # fmt: skip
    assert wholes.tolist() == [2, 2, 2, 2, 2]
    above, every = bins
    # NDR lies 1 and 2 pixels from what is found, a tenth of a window each; background 4 and 5
    assert every.sum(1).tolist() == [2, 2]
    assert above.sum(1).tolist() == [1, 1]
    near = np.digitize((0.1, 0.2, 0.4, 0.5), REGIONS.EDGES) - 1
    assert every[0][near[0]] >= 1
    assert above[0][near[0]] == 1


def test_a_network_of_one_pixel_windows_has_no_gradient_where_every_feature_is_zero(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replace(TINY, images=3), None, lambda _: None)
    subject = bench.trained("one", kernel=1, pool=False, size=WINDOW.SIDE)
    found = WINDOW.silence(subject)
    assert found["with ReLU"] == found["A ≤ 0"] > 0
    assert found["zero where A ≤ 0"] < found["A ≤ 0"]  # pooling comes before any ReLU
    pixels = subject.images.read(subject.images.ids[0]).pixels[None]
    features = subject.classifier.backbone(subject.classifier.normalise(pixels)).detach()[0].flatten(1)
    subject.classifier.backbone[-2].bias.data -= features.quantile(0.9, 1)  # so that some are silent
    silent = WINDOW.silence(subject)
    assert silent["zero where dead"] == silent["dead"]
    assert 0 < silent["dead"] < silent["all"]
    wide = WINDOW.silence(bench.trained("three", kernel=3, pool=False, size=WINDOW.SIDE))
    assert wide["with ReLU"] < wide["A ≤ 0"]  # a neighbour's activation is reached


def test_shares_of_silent_pixels_say_where_there_are_none() -> None:
    counts = {"all": 8, "dead": 0, "zero where dead": 0, "A ≤ 0": 4, "zero where A ≤ 0": 1, "with ReLU": 4}
    assert list(WINDOW.shares(counts).values()) == ["0.0%", "none", "50.0%", "25.0%", "100.0%"]


def test_window_trains_its_own_networks(tmp_path: Path, run: Path) -> None:
    complaint(lambda: run_study("window", tmp_path, TINY, run, "", print), "--run")


# What is written


def test_a_finding_says_the_same_in_markdown_and_on_its_page(tmp_path: Path) -> None:
    row = {"miou": 0.5, "ci": {"miou": (0.4, 0.6)}}
    finding = Finding(
        "A < B.",
        (Table("Scores", ("recipe", "mIoU"), (("a", cell(row)), ("b", signed((0.1, -0.05, 0.2))))),),
        (Plot("Growth", "n", "mIoU", {"a": [(1, 0.5, (0.4, 0.6)), (2, 0.6, None)]}, log=True),),
    )
    finding.write(tmp_path, {"study": "x"})
    assert (tmp_path / "study.md").read_text() == (
        "A < B.\n\nScores:\n\n| recipe | mIoU |\n| --- | --- |\n| a | 0.500 [0.400, 0.600] |\n"
        "| b | +0.100 [-0.050, +0.200] |\n"
    )
    page = (tmp_path / "index.html").read_text()
    assert "A &lt; B." in page
    assert "0.500 [0.400, 0.600]" in page


# The command line


def test_list_tells_what_each_study_asks(beyondcam: Command) -> None:
    shown = beyondcam("study", "--list").stdout
    assert [line.partition(":")[0] for line in shown.splitlines()] == list(STUDIES)


def test_a_study_or_run_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    def study(name: str, run: Path | None) -> None:
        run_study(name, tmp_path / "x", TINY, run, "", print)

    complaint(lambda: study("colour", None), "colour", "crops")
    complaint(lambda: study("crops", tmp_path / "none"), "beyondcam train", "none")
