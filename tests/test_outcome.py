"""Work ahead of need, and what of it was left out."""

import errno
import threading
from pathlib import Path

import pytest

from beyondcam.errors import BeyondcamError, NoRoomError
from beyondcam.files import writing
from beyondcam.outcome import LeftOut, ahead, attempts


def test_ahead_gives_what_map_gives_whichever_thread_is_done_first() -> None:
    gate = threading.Event()

    def work(n: int) -> int:
        if n == 0:
            assert gate.wait(10)  # the first is done last
        if n == 1:
            gate.set()
        return n * n

    assert list(ahead(work, range(20))) == [n * n for n in range(20)]
    assert list(ahead(work, [])) == []


def test_ahead_takes_only_a_few_items_before_they_are_asked_for() -> None:
    taken = []

    def items():
        for n in range(100):
            taken.append(n)
            yield n

    results = ahead(lambda n: n, items(), threads=2)
    assert next(results) == 0
    assert len(taken) <= 5
    results.close()


def test_ahead_hands_on_the_error_in_its_place() -> None:
    def work(n: int) -> int:
        if n == 3:
            raise BeyondcamError("three")
        return n

    results = ahead(work, range(10))
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(BeyondcamError, match="three"):
        next(results)


def test_where_there_is_no_room_for_one_result_there_is_none_for_the_others(tmp_path: Path) -> None:
    def write(number: int) -> None:
        with writing(tmp_path / str(number)):
            raise OSError(errno.ENOSPC if number == 3 else errno.EISDIR, "no")

    found = attempts(write, [1, 2, 3, 4])
    assert isinstance(next(found)[1], LeftOut)
    with pytest.raises(NoRoomError, match="3: could not be written"):
        list(found)


def test_each_item_comes_with_its_result_or_the_reason_why_it_has_none() -> None:
    def work(n: int) -> int:
        if n == 1:
            raise BeyondcamError("one")
        return n * n

    assert list(attempts(work, range(3))) == [(0, 0), (1, LeftOut("one")), (2, 4)]
