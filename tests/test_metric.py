"""A metric that is added is a column of everything that shows scores."""

import json

import numpy as np
import pytest

from beyondcam.metrics import METRICS, Metric, Pixels, read_scores, write_scores
from beyondcam.metrics.table import print_classes, print_table
from beyondcam.report import write_report
from rows import score_row
from small import LEVEL_100, REFERENCE, SEED, SmallRun, winners


def foreground_share(pixels: Pixels) -> np.ndarray:
    """Share of the pixels that are labelled foreground: (samples,)."""
    return pixels.predicted[:, 1:].sum(1) / pixels.predicted.sum(1)


def test_a_metric_that_is_added_is_in_rows_comparisons_the_terminal_and_the_report(
    small: SmallRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of 14 pixels that are not void the seed labels 8 foreground, the reference 4."""
    added = Metric("foreground", "Foreground", foreground_share, higher_is_better=False, form=".1%")
    monkeypatch.setitem(METRICS, added.name, added)
    small.put("cam", winners(REFERENCE))
    small.put("crops", winners(SEED))
    write_scores(small.run, small.images(), small.score(threshold=LEVEL_100))

    scores = {(row.recipe, row.threshold_rule): row for row in read_scores(small.run).rows}
    row = scores["crops", "fixed"]
    assert row.metrics["foreground"] == pytest.approx(8 / 14)
    assert row.ci["foreground"] == pytest.approx((8 / 14, 8 / 14))
    (written,) = (r for r in json.loads((small.run / "scores.json").read_text()) if r == row.to_json())
    assert written["foreground"] == row.metrics["foreground"]
    (pair,) = (
        pair
        for pair in json.loads((small.run / "comparisons.json").read_text())
        if pair["threshold_rule"] == "fixed"
    )
    assert pair["difference"]["foreground"] == pytest.approx(4 / 14)

    print_table(list(scores.values()))
    shown = capsys.readouterr().out
    assert "Foreground ↓" in shown
    assert "57.1%" in shown
    assert "28.6%" in shown

    config = {"train": {"data": small.data}, "classes": ["cat", "dog"]}
    (small.run / "config.json").write_text(json.dumps(config))
    (small.run / "training.json").write_text(json.dumps({"epochs": []}))
    page = write_report(small.run).read_text()
    assert page.count('<th scope="col">Foreground ↓</th>') == 6  # three rules: scores and differences
    assert "57.1%<small>[57.1%, 57.1%]</small>" in page
    assert "+28.6%<small>[+28.6%, +28.6%]</small>" in page


def test_a_metric_that_cannot_be_measured_is_a_dash_and_in_no_comparison(
    small: SmallRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(METRICS, "never", Metric("never", "Never", lambda pixels: None))
    for recipe in ("crops", "saliency"):
        small.put(recipe, winners(SEED))
    scores = small.score()
    assert [row.metrics["never"] for row in scores.rows] == [None] * 4
    assert not any("never" in row.ci for row in (*scores.rows, *scores.comparisons))
    print_table(scores.rows)
    assert "–" in capsys.readouterr().out


def test_classes_are_printed_with_what_the_masks_show_of_them(capsys: pytest.CaptureFixture[str]) -> None:
    shown = {"hole": {"images": 10, "area": 0.0014}, "stain": {"images": 0, "area": None}}
    rows = [
        score_row(
            recipe, miou, rule, iou={"hole": miou, "stain": None}, iou_ci={"hole": (0.006, 0.9)}, shown=shown
        )
        for recipe, miou, rule in (("cam", 0.25, "train"), ("crops", 0.5, "train"), ("cam", 0.75, "oracle"))
    ]
    print_classes(rows)
    title, *lines = capsys.readouterr().out.splitlines()
    assert "rule train" in title
    (hole,) = (line.split("│")[1:-1] for line in lines if "hole" in line)
    assert [cell.strip() for cell in hole] == [
        "hole",
        "10",
        "0.1%",
        "0.500 (0.006–0.900)",
        "0.250 (0.006–0.900)",
    ]
    (stain,) = (line.split("│")[1:-1] for line in lines if "stain" in line)
    assert [cell.strip() for cell in stain] == ["stain", "0", "–", "– (–)", "– (–)"]
