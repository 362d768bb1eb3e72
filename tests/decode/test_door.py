"""Whatever a decoder raises is one line that names the file; pipes and devices are no files."""

import os
import time
from pathlib import Path

import pytest

from beyondcam.decode import Fingerprint, decoding, fingerprint, open_regular, read_bytes
from beyondcam.errors import BeyondcamError, one_line
from conftest import complaint


class OddError(Exception):
    """What no list of exceptions to expect would have."""


@pytest.mark.parametrize(
    "error", [OddError("two\nlines"), MemoryError(), RecursionError(), KeyError(3), OSError(5)]
)
def test_any_exception_is_one_line_that_names_the_file_and_the_cause(
    tmp_path: Path, error: Exception
) -> None:
    def decode() -> None:
        with decoding(tmp_path / "a.jpg", "an image"):
            raise error

    complaint(decode, "a.jpg", "not readable as an image")
    with pytest.raises(BeyondcamError) as caught:
        decode()
    assert caught.value.__cause__ is error


def test_control_characters_of_a_message_do_not_reach_the_terminal() -> None:
    assert one_line(ValueError("red: \x1b[31m\n\tand a bell \x07")) == "red: \\x1b[31m and a bell \\x07"
    assert one_line(MemoryError()) == "MemoryError"
    assert len(one_line(ValueError("x" * 10_000))) < 250


def test_pipe_and_device_are_refused_at_once(tmp_path: Path) -> None:
    """To open a pipe without a writer would wait for one for good."""
    os.mkfifo(tmp_path / "photo.jpg")
    started = time.monotonic()
    for path in (tmp_path / "photo.jpg", Path("/dev/zero"), tmp_path):
        with pytest.raises(OSError, match="regular"):
            open_regular(path)
    assert time.monotonic() - started < 1


def test_file_above_the_limit_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_bytes(tmp_path / "a", 5) == b"12345"
    with pytest.raises(ValueError, match="more than 4"):
        read_bytes(tmp_path / "a", 4)


def test_file_is_known_by_its_bytes_where_size_or_time_have_changed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"one photo")
    with path.open("rb") as file:
        known = fingerprint(file)
        assert file.read() == b"one photo"
    assert known.matches(path)
    os.utime(path, (1, 1))  # as a copy has it
    assert known.matches(path)
    path.write_bytes(b"two photo")
    assert not known.matches(path)
    path.write_bytes(b"another")
    assert not known.matches(path)
    path.unlink()
    assert not known.matches(path)
    assert Fingerprint(*known) == known
