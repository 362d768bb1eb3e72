"""Rows on disk: read and written without a change, replaced where they should be, refused where damaged."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import TypeAdapter, ValidationError

from beyondcam.metrics import Scores, read_scores, read_segments, write_scores, write_segment
from beyondcam.metrics.labels import LabelCounts
from beyondcam.metrics.rows import Comparison, Curve, NetworkRow, Row, read_records, write_records
from beyondcam.metrics.table import _print
from conftest import complaint
from rows import comparison, network_row, score_row
from small import REFERENCE, SEED, SmallRun, winners

ROW = {
    "checkpoint": "2c", "data": "voc:/d", "split": "val", "seed": 0, "targets": "labels",
    "precision": "float32", "recipe": "crops", "recipe_hash": "9f", "threshold_rule": "train",
    "threshold": 0.30, "miou": 0.5, "dr_recall": None, "ndr_recall": 0.25, "fg_precision": 0.75,
    "iou": {"background": 0.9, "cat": None}, "ci": {"miou": [0.4, 0.6], "dr_recall": None},
    "cost": {"forward": 10.5, "backward": 2.0, "megapixels": 3.0, "seconds": 0.5},
    "reference_threshold": 0.4, "chosen_on": {"split": "train"}, "images": 12, "absent": "auto",
    "uncovered": 0.0,
}  # fmt: skip
COMPARISON = {
    "checkpoint": "2c", "data": "voc:/d", "split": "val", "seed": 0, "targets": "labels",
    "precision": "float32", "a": "cam", "b": "crops", "a_hash": "1a", "b_hash": "9f",
    "threshold_rule": "few", "difference": {"miou": -0.1, "dr_recall": None},
    "ci": {"miou": [-0.2, 0.05], "dr_recall": None},
}  # fmt: skip
CURVE = {
    "checkpoint": "2c", "data": "voc:/d", "split": "val", "seed": 0, "targets": "labels",
    "precision": "float32", "recipe": "crops", "recipe_hash": "9f", "classes": ["cat"],
    "threshold": [0.0, 1.0], "miou": [0.5, 0.25], "levels": {"oracle": 0},
    "reference_levels": {"oracle": 1}, "dr_recall": [None, 0.5], "ndr_recall": [0.5, None],
}  # fmt: skip
NETWORK = {
    "name": "crops-blind-0", "trained_on": "seeds", "seeds_split": "train", "recipe": "crops",
    "recipe_hash": "9f", "checkpoint": "2c", "targets": "labels", "mapped": 9, "threshold_rule": "blind",
    "threshold": 0.3, "void": 0.0, "round": 1, "training_seed": 0, "architecture": "unet",
    "encoder": "resnet18", "config": {"seed": 0, "weights": None}, "data": "voc:/d", "split": "val",
    "miou": 0.5, "iou": {"cat": 0.5}, "ci": {"miou": [0.4, 0.6]}, "images": 12,
}  # fmt: skip
TRUTH = {k: v for k, v in NETWORK.items() if k not in ("checkpoint", "targets")} | {"trained_on": "truth"}
FEW = ROW | {"threshold_rule": "few", "chosen_on": {"split": "train", "images": ["a", "b"]}, "cost": None}
WITHOUT_REFERENCE = {k: v for k, v in CURVE.items() if not k.endswith(("recall", "reference_levels"))}


@pytest.mark.parametrize(
    ("kind", "content"),
    [(Row, [ROW, FEW, ROW | {"chosen_on": None}]), (Comparison, [COMPARISON]),
     (Curve, [CURVE, WITHOUT_REFERENCE]), (NetworkRow, [NETWORK, TRUTH])],
)  # fmt: skip
def test_a_file_is_written_as_it_was_read(tmp_path: Path, kind: type, content: list[dict]) -> None:
    """To the byte, the order of the keys included."""
    written = json.dumps(content, indent=1) + "\n"
    (tmp_path / "file.json").write_text(written)
    write_records(tmp_path / "file.json", read_records(tmp_path / "file.json", kind, "beyondcam x"))
    assert (tmp_path / "file.json").read_text() == written


def test_rows_cannot_be_changed_and_metrics_are_told_from_fields() -> None:
    row = Row.model_validate(ROW | {"boundary": 0.125})
    assert row.metrics == {
        "miou": 0.5, "dr_recall": None, "ndr_recall": 0.25, "fg_precision": 0.75, "boundary": 0.125
    }  # fmt: skip
    assert row.miou == 0.5
    assert row.to_json()["boundary"] == 0.125
    with pytest.raises(ValidationError):
        row.miou = 1.0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"threshold": "high"}, "0 threshold"),
        ({"threshold": -0.1}, "0 threshold"),
        ({"reference_threshold": math.nan}, "0 reference_threshold"),
        ({"fall": 0.8}, "0 fall"),
        ({"threshold_rule": "guess"}, "no threshold rule is called guess"),
        ({"miou": None}, "miou is missing"),
        ({"dr_recall": "high"}, "dr_recall"),
        ({"ci": {"miou": [0.1]}}, "0 ci miou"),
        ({"metrics": 5}, "0 metrics"),
    ],
)
def test_a_damaged_row_is_one_line_that_names_the_file_the_field_and_the_command(
    tmp_path: Path, change: dict, named: str
) -> None:
    path = tmp_path / "scores.json"
    path.write_text(json.dumps([ROW | change]))
    complaint(lambda: read_scores(tmp_path), str(path), named, "`beyondcam score` makes it anew")


def test_half_a_file_is_one_line_that_names_the_file_and_the_command(tmp_path: Path) -> None:
    for name, kind, content in (
        ("scores", Row, ROW), ("comparisons", Comparison, COMPARISON), ("curves", Curve, CURVE),
        ("segments", NetworkRow, NETWORK),
    ):  # fmt: skip
        path, text = tmp_path / f"{name}.json", json.dumps([content])
        damages = [text[: len(text) // 2], "{}", "[[]]", '[{"split": "val"}]']
        if "ci" in content:
            damages.append(json.dumps([content | {"ci": {}}]))
        for damaged in damages:
            path.write_text(damaged)
            message = complaint(lambda p=path, k=kind: read_records(p, k, "beyondcam x"), str(path))
            assert message.endswith("`beyondcam x` makes it anew")
    complaint(lambda: read_segments(tmp_path), "segments.json", "`beyondcam segment` makes it anew")


def test_scores_replace_those_of_their_split_and_of_another_checkpoint(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    small.put("crops", winners(SEED))
    scores, path = small.score(), small.run / "scores.json"
    own = {"data": small.data, "checkpoint": scores.rows[0].checkpoint}
    other_split = score_row("cam", 0.5, **own, split="val")
    others = [
        other_split,
        score_row("cam", 0.5, **own),  # of this split
        score_row("cam", 0.5, split="val"),  # of another checkpoint
    ]
    write_records(path, others)
    write_scores(small.run, small.images(), scores)
    assert read_scores(small.run).rows == [other_split, *scores.rows]
    assert read_records(small.run / "comparisons.json", Comparison, "") == scores.comparisons
    assert read_records(small.run / "curves.json", Curve, "") == scores.curves


def test_a_damaged_file_is_replaced_by_the_command_that_it_names(small: SmallRun) -> None:
    small.put("cam", winners(REFERENCE))
    scores = small.score()
    for name in ("scores", "comparisons", "curves", "segments"):
        (small.run / f"{name}.json").write_text("[{")
    write_scores(small.run, small.images(), scores)
    assert read_scores(small.run).rows == scores.rows
    write_segment(small.run, network_row("n"), LabelCounts(("a",), np.ones((1, 3, 2), np.int64)))
    assert [row.name for row in read_segments(small.run)] == ["n"]


def test_a_difference_is_that_of_the_first_less_the_second(tmp_path: Path) -> None:
    scores = Scores([], [comparison("cam", "crops", 0.2, (0.1, 0.4))])
    assert scores.difference("crops", "cam", rule="train") == (0.2, 0.1, 0.4)
    assert scores.difference("cam", "crops", rule="train") == (-0.2, -0.4, -0.1)
    no = "no comparisons of cam and crops by oracle; there are cam and crops by train"
    complaint(lambda: scores.difference("cam", "crops"), no)
    complaint(lambda: scores.row("kam"), "no rows of kam by oracle; there are")
    assert scores.comparisons[0].turned().turned() == scores.comparisons[0]


@pytest.mark.parametrize(
    "changes", [{"name": "../net"}, {"name": "/net"}, {"split": "../val"}, {"name": "é" * 300}]
)
def test_rows_of_networks_name_no_folder_elsewhere(tmp_path: Path, changes: dict[str, str]) -> None:
    path = tmp_path / "segments.json"
    path.write_text(json.dumps([NETWORK | changes]))
    complaint(lambda: read_segments(tmp_path), str(path), "no name of a folder")


def test_scores_of_two_processes_at_once_are_all_kept(tmp_path: Path) -> None:
    """Each writes the rows of one new split after the other: none may write over the other's."""
    small = SmallRun(tmp_path, ("a", "b"))
    small.put("cam", winners(SEED))
    scores, images = small.score(), small.images()

    def write(name: str) -> None:
        for n in range(20):
            split = replace(images, split=f"{name}-{n}")
            own = [row.model_copy(update={"split": split.split}) for row in scores.rows]
            write_scores(small.run, split, Scores(own))

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, ("one", "two", "three")))
    rows = TypeAdapter(list[Row]).validate_json((small.run / "scores.json").read_bytes())
    assert len(rows) == 60 * len(scores.rows)


def test_networks_of_two_processes_at_once_are_all_kept(tmp_path: Path) -> None:
    counts = LabelCounts(("a",), np.ones((1, 3, 2), np.int64))

    def write(name: str) -> None:
        for n in range(20):
            write_segment(tmp_path, network_row(f"{name}-{n}"), counts)

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(write, ("one", "two", "three")))
    rows = TypeAdapter(list[NetworkRow]).validate_json((tmp_path / "segments.json").read_bytes())
    assert len(rows) == 60


def test_names_with_brackets_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """rich takes them for markup."""
    _print("classes", ("class",), ("mIoU",), [["leaf [old]", "0.5"], ["leaf [/new]", "0.6"]])
    said = capsys.readouterr().out
    assert "leaf [old]" in said
    assert "leaf [/new]" in said
