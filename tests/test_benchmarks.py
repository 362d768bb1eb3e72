"""What the benchmarks share: ratios of times on a clock that the test controls, and sections of a page."""

from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats

import gpu
import results
from beyondcam import Cookbook
from beyondcam.evidence import AdaptiveThreshold, Winners, find_shelf
from beyondcam.metrics import ImageTally
from beyondcam.segment import labels_of_seeds
from corrections import body as curve
from corrections import corrected
from kill import differences, files_of
from segment import over_seeds
from size import Measured, best_of_each, constant, of_class
from small import SEED, TRUTH, SmallRun, winners
from timing import MIN_PAIRS, Ratio, ratio


class Clock:
    """Advances only when work is called, by the durations given."""

    def __init__(self) -> None:
        self.now, self.calls = 0.0, []

    def __call__(self) -> float:
        return self.now

    def work(self, name: str, *durations: float) -> Callable[[], None]:
        remaining = cycle(durations)

        def call() -> None:
            self.calls.append(name)
            self.now += next(remaining)

        return call


def test_ratio_goes_on_until_the_interval_is_on_one_side_of_the_bar() -> None:
    """Durations that alternate by 6 %: narrow after 8 pairs, but a bar of 1.035 is inside for many more."""

    def measured(bar: float | None) -> Ratio:
        clock = Clock()
        a, b = clock.work("a", 1.0, 1.06, 1.03), clock.work("b", 1.0)
        return ratio(a, b, seconds=1000, bar=bar, clock=clock)

    free, far, near = measured(None), measured(1.2), measured(1.035)
    assert (free.pairs, far.pairs) == (MIN_PAIRS, MIN_PAIRS)
    assert free.low < 1.035 < free.high
    assert near.pairs > MIN_PAIRS
    assert near.settled
    assert near.high < 1.035


def test_ratio_of_steady_work_is_exact_after_a_few_pairs_and_settled() -> None:
    clock = Clock()
    steady = ratio(clock.work("a", 6), clock.work("b", 2), seconds=1, clock=clock)
    assert (steady.value, steady.low, steady.high) == pytest.approx((3, 3, 3))
    assert (steady.pairs, steady.settled) == (MIN_PAIRS, True)
    warm_up, alternating = "ab", "abba" * (MIN_PAIRS // 2)
    assert "".join(clock.calls) == warm_up + alternating


def test_ratio_that_does_not_settle_ends_in_time_with_students_interval() -> None:
    clock = Clock()
    # the warm-up of a takes 100; then it takes 1 and 4 in turn, b always 1
    durations = [100.0, *([1.0, 4.0] * 50)]
    unsettled = ratio(clock.work("a", *durations), clock.work("b", 1), seconds=128, clock=clock)
    assert not unsettled.settled
    assert unsettled.pairs == 8  # 101 s of warm-up, then 7 s in every two pairs
    logs = np.log([1, 4] * 4)
    low, high = stats.t.interval(0.95, 7, logs.mean(), logs.std(ddof=1) / np.sqrt(8))
    interval = unsettled.value, unsettled.low, unsettled.high
    assert interval == pytest.approx((2, np.exp(low), np.exp(high)))
    assert "time was up" in str(unsettled)


def test_ratio_has_a_minimum_of_pairs_even_without_time() -> None:
    clock = Clock()
    assert ratio(clock.work("a", 1, 5), clock.work("b", 1), seconds=0, clock=clock).pairs == MIN_PAIRS


def test_ratio_settles_at_the_given_tolerance() -> None:
    pairs = []
    for tolerance in (0.03, 0.1):
        clock = Clock()
        work = clock.work("a", 1.0, 1.1), clock.work("b", 1)
        settled = ratio(*work, seconds=1e6, tolerance=tolerance, clock=clock)
        assert settled.settled
        assert settled.high / settled.value - 1 <= tolerance
        pairs.append(settled.pairs)
    assert pairs[0] > pairs[1]


@pytest.mark.parametrize(
    ("low", "high", "at_most", "at_least"),
    [(1.0, 1.1, "met", "undecided"), (1.04, 1.2, "undecided", "undecided"), (1.16, 1.2, "missed", "met")],
)
def test_bar_is_decided_only_if_the_whole_interval_is_on_one_side(
    low: float, high: float, at_most: str, at_least: str
) -> None:
    measured = Ratio(low, low, high, MIN_PAIRS, settled=True)
    assert measured.judged(at_most=1.15) == f"≤ 1.15: {at_most}"
    assert measured.judged(at_least=1.05) == f"≥ 1.05: {at_least}"


def test_section_is_on_its_page_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DOCS", tmp_path)
    monkeypatch.setattr(results, "_commit", lambda: "0123abc")
    results.write_section("score", "Scoring", "python x.py", "old")
    for body in ("old", "new"):
        results.write_section("score", "Scoring", "python x.py", body, page="performance")
    results.write_section("other", "Other", "python y.py", "more", page="performance")
    text = (tmp_path / "performance.md").read_text()
    assert text.startswith(
        "# Performance\n\nEach ratio of times is of two things measured in interleaved pairs"
    )
    assert "old" not in text
    assert text.index("new") < text.index("## Other\n\nMade by `python y.py` at commit 0123abc.\n\nmore")
    assert "old" in (tmp_path / "results/score.md").read_text()
    results.write_section("other", "Other", "python y.py", results.table(("`best`", 1), ("cam+walk", 2)))
    stated = " ".join(f"{name} {Cookbook().recipe(name).hash}" for name in ("best", "cam+walk"))
    assert f"<!-- recipes {stated} -->\n<!-- end other -->" in (tmp_path / "results/other.md").read_text()


def test_results_stand_on_the_page_of_their_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "DOCS", tmp_path)
    monkeypatch.setattr(results, "_commit", lambda: "0123abc")
    (tmp_path / "results").mkdir()
    (tmp_path / "results/crops.md").write_text("# Crops\n\nWhat it asks.\n")
    for name in ("study-crops-animals", "study-crops-digits", "voc", "size-tiles"):
        results.write_section(name, "Title", "python x.py", name)
    pages = {page.stem: page.read_text() for page in (tmp_path / "results").iterdir()}
    assert pages.keys() == {"crops", "voc", "size"}
    assert pages["crops"].startswith("# Crops\n\nWhat it asks.\n\n<!-- study-crops-animals -->\n## Title\n")
    assert pages["crops"].endswith("study-crops-digits\n<!-- end study-crops-digits -->\n")


def test_the_samples_over_training_seeds_are_means_of_drawn_networks() -> None:
    samples = np.array([[0.2] * 2001, [0.6] * 2001])
    drawn = over_seeds(samples)
    assert drawn[0] == pytest.approx(0.4)
    values, counts = np.unique(drawn[1:].round(9), return_counts=True)
    np.testing.assert_allclose(values, [0.2, 0.4, 0.6])
    np.testing.assert_allclose(counts / 2000, [0.25, 0.5, 0.25], atol=0.04)
    alone = np.random.default_rng(0).random((1, 50))
    np.testing.assert_array_equal(over_seeds(alone), alone[0])


def test_size_takes_the_best_threshold_of_each_image_and_class() -> None:
    """Two images of one class: τ best for both is not best for either."""
    half, full, low = 128, 255, 10
    images = []
    for ground in (low, 200):  # a thing of 4 pixels on a ground of 12
        levels = np.full((4, 4), ground, np.uint8)
        levels[0] = full if ground > half else half
        truth = np.zeros((4, 4), np.uint8)
        truth[0] = 1
        images.append(ImageTally.of(Winners(np.ones((4, 4), np.uint8), levels), truth))
    measured = Measured(images, 1, first=1, adaptive=AdaptiveThreshold())
    assert best_of_each(images) == 1
    # at the level 10 both things and the second ground are found: 8 of 20; at 200 the second thing: 4 of 8
    assert measured.oracle() == 200
    assert measured.mean(constant(200))[0] == measured.mean(of_class(measured.oracles()))[0] == 4 / 8
    assert measured.mean(constant(10))[0] == 8 / 20
    background = Measured(images, 1, first=0, adaptive=AdaptiveThreshold()).mean(constant(200))[0]
    assert background == pytest.approx((4 / 8 + 24 / 28) / 2)


def test_gpu_runs_on_a_cpu_and_says_what_it_could_not_measure(capsys: pytest.CaptureFixture[str]) -> None:
    gpu.main(["--tiny"])
    lines = dict(line.rsplit(": ", 1) for line in capsys.readouterr().out.splitlines() if ": " in line)
    figures = (
        "cam, images/s end to end", "fast, images/s end to end", "best, images/s end to end",
        "best without refinement, images/s end to end", "fast / bare passes (bar: ≤ 1.5)",
        "best / bare passes (bar: ≤ 1.25)", "score, images/s", "seeds, images/s",
        "training / bare steps (bar: ≤ 1.15)", "views/s in bf16, batch 8", "saliency, ours, images/s",
    )  # fmt: skip
    assert all(float(lines[name]) > 0 for name in figures)
    if not torch.cuda.is_available():
        assert lines["best, share of the time that the GPU is idle"] == gpu.NOT_MEASURED
        assert lines["largest difference from the CPU (bar: 0.001)"] == gpu.NOT_MEASURED


def test_what_differs_from_an_undisturbed_run_is_named(tmp_path: Path) -> None:
    """Of a killed command: files missing, left over and other; what processes name, and costs, are not."""
    for run, process in (("whole", "a1"), ("killed", "b2")):
        shelf = tmp_path / run / "evidence"
        (shelf / "photos").mkdir(parents=True)
        (shelf / "photos" / f"{process}.csv").write_text("p,1\nq,2\n")
        (shelf / f"cost-{process}.csv").write_text(process)
        (shelf / "p.png").write_bytes(b"same")
    (tmp_path / "killed/evidence/photos/c3.csv").write_text("q,2\n")  # written before and after the kill
    whole, killed = (files_of(tmp_path / run) for run in ("whole", "killed"))
    assert differences(whole, killed) == []
    (tmp_path / "killed/evidence/p.png").write_bytes(b"other")
    (tmp_path / "killed/.0123").touch()
    (tmp_path / "killed/evidence/photos/c3.csv").write_text("r,3\n")
    (tmp_path / "whole/evidence/q.png").touch()
    assert differences(files_of(tmp_path / "whole"), files_of(tmp_path / "killed")) == [
        ".0123 is left over",
        "evidence/p.png differs",
        "evidence/photos/* differs",
        "evidence/q.png is missing",
    ]


def test_corrected_masks_take_the_place_of_the_seeds_of_the_photos_chosen(small: SmallRun) -> None:
    small.put("cam", winners(SEED))
    seeds = labels_of_seeds(small.run, small.images(), find_shelf(small.run, small.images(), "cam"), "0.2")
    assert corrected(seeds, small.masks(), []) is seeds
    source = corrected(seeds, small.masks(), ["b"])
    assert (source.labels("b") == TRUTH).all()
    assert (source.labels("a") == seeds.labels("a")).all()
    assert not (source.labels("a") == TRUTH).all()
    assert (source.facts.supervision, source.reviewed) == ("labels + 1 masks", {"b"})
    assert source.name != corrected(seeds, small.masks(), ["c"]).name


def test_the_curve_of_corrections_compares_both_orders_at_each_number() -> None:
    samples = np.linspace(0.4, 0.5, 1001)
    curves = {("worst first", 0): samples, ("worst first", 5): samples + 0.2, ("at random", 5): samples}
    *_, start, five = curve(curves, 20, 10, 3).splitlines()
    assert start.startswith("| 0 | 0.400 [")
    assert five.startswith("| 5 | 0.600 [")
    assert five.endswith("| +0.200 [+0.200, +0.200] |")
