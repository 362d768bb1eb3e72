"""What is said of progress where no terminal shows a bar."""

from types import SimpleNamespace

import pytest

from beyondcam import progress
from beyondcam.progress import track


def test_a_log_gets_a_line_a_minute_with_the_time_left(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each of ten items takes 25 s, but for the first three, which take none; ten more are to come."""
    clock = iter([0, 0, 0, 0, *range(25, 1000, 25)])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert list(track(range(10), "map val", 10, later=10)) == [*range(10)]
    assert capsys.readouterr().err.splitlines() == [
        "map val: 5 of 10, about 5 min left",  # 75 s for four, of which two took none, after the first
        "map val: 8 of 10, about 5 min left",
    ]


def test_a_log_that_nobody_reads_any_more_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object, **__: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(progress, "EVERY", 0)
    monkeypatch.setattr("builtins.print", closed)
    assert list(track(range(3), "map val", 3)) == [0, 1, 2]


def test_what_the_first_item_waits_for_is_not_taken_for_the_pace(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first of ten items takes 70 s, each of the others 10 s."""
    clock = iter([0, 0, *range(70, 1000, 10)])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    assert list(track(range(10), "map val", 10)) == [*range(10)]
    assert capsys.readouterr().err.splitlines() == ["map val: 1 of 10", "map val: 7 of 10, about 30 s left"]
