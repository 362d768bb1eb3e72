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
        "map val: 5 of 10, about 4 min left",  # 75 s for five, in which three took none
        "map val: 8 of 10, about 5 min left",
    ]
