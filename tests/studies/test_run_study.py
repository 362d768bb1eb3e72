"""Every study from a RUN to its page, on a tiny budget; and what `run_study` refuses."""

from pathlib import Path

import pytest

from beyondcam.evidence import mapper
from beyondcam.studies import STUDIES, run_study, untrained
from beyondcam.training.loop import Trainer
from conftest import Command, complaint
from studies.conftest import TINY, Studied


@pytest.mark.parametrize("name", STUDIES.kinds)
def test_a_study_writes_its_page_and_computes_nothing_twice(
    name: str, studied: Studied, tmp_path: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    studied_run = None if name == "window" else run  # window trains its own networks
    study = studied(name, studied_run, log=messages.append)
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
    assert any("forward passes" in line for line in messages)

    for place, call in ((mapper, "raw_maps"), (untrained, "raw_maps"), (Trainer, "fit")):
        monkeypatch.setattr(place, call, lambda *_, **__: pytest.fail("computed again"))
    assert studied(name, studied_run) == study


def test_other_runs_are_for_studies_that_compare_and_need_a_run(tmp_path: Path, run: Path) -> None:
    complaint(lambda: run_study("crops", tmp_path, TINY, run, "", print, [run]), "beside: ", "crops")
    complaint(lambda: run_study("coco", tmp_path, TINY, None, "", print, [run]), "beside: ", "run")


def test_list_tells_the_question_of_each_study(beyondcam: Command) -> None:
    shown = beyondcam("study", "--list").stdout
    assert [line.partition(":")[0] for line in shown.splitlines()] == list(STUDIES.kinds)


def test_an_unknown_study_or_run_is_one_line(tmp_path: Path) -> None:
    def study(name: str, run: Path | None) -> None:
        run_study(name, tmp_path / "x", TINY, run, "", print)

    complaint(lambda: study("colour", None), "colour", "crops")
    complaint(lambda: study("crops", tmp_path / "none"), "beyondcam train", "none")


def test_a_run_without_a_classifier_is_one_line(tmp_path: Path, run: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "config.json").write_bytes((run / "config.json").read_bytes())
    complaint(lambda: run_study("crops", tmp_path / "x", TINY, bare, "", print), "beyondcam train", "bare")
