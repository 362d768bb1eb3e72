"""What a study writes: markdown, a page, and figures as text."""

from pathlib import Path

from beyondcam.metrics import Scores
from beyondcam.metrics.text import cell, signed
from beyondcam.studies.finding import Finding, Plot, Table
from rows import comparison, score_row


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


def test_a_difference_without_a_value_is_a_dash() -> None:
    """For example where the reference labels no pixel correctly, so that there is no DR-Recall."""
    none = {"difference": {"dr_recall": None}, "ci": {"dr_recall": None}}
    scores = Scores([], [comparison("cam", "crops", 0, None, "oracle").model_copy(update=none)])
    assert signed(scores.difference("crops", "cam", "dr_recall")) == "–"
