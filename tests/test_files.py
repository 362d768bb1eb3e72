"""Files that are whole or not there, and names that stay below their folder."""

import errno
import json
import signal
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from beyondcam.files import file_below, locked, path_below, read_json, write_json, write_whole
from conftest import complaint


def full_disk(*args, **kwargs) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def half_written(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content[: len(content) // 2])
    full_disk()


@pytest.mark.parametrize(("method", "broken"), [("write_bytes", half_written), ("replace", full_disk)])
def test_full_disk_leaves_the_old_file_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, broken
) -> None:
    write_whole(tmp_path / "a.png", b"old content")
    monkeypatch.setattr(Path, method, broken)
    for name in ("a.png", "new.png"):
        complaint(
            lambda name=name: write_whole(tmp_path / name, b"new content"), name, "No space left on device"
        )
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old content"


def test_folder_that_cannot_be_made_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    complaint(lambda: write_whole(tmp_path / "file" / "a.json", b""), "a.json")
    complaint(lambda: write_whole(tmp_path / "file" / "deeper" / "a.json", b""), "a.json")


def test_name_that_is_too_long_is_one_line_that_names_the_file(tmp_path: Path) -> None:
    complaint(lambda: write_whole(tmp_path / ("n" * 300), b""), "nnn")


def test_longest_name_that_the_disk_takes_can_be_written(tmp_path: Path) -> None:
    write_whole(tmp_path / ("n" * 255), b"content")
    assert (tmp_path / ("n" * 255)).read_bytes() == b"content"


def test_whole_file_comes_with_its_folders_and_replaces_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "c.json"
    write_json(path, {"ü": [1, 2.5, None]})
    assert json.loads(path.read_text(encoding="utf-8")) == {"ü": [1, 2.5, None]}
    write_json(path, [])
    assert read_json(path, "beyondcam x") == []
    assert [p.name for p in path.parent.iterdir()] == ["c.json"]


def test_json_that_is_missing_or_broken_is_one_line_that_says_what_makes_it(tmp_path: Path) -> None:
    complaint(lambda: read_json(tmp_path / "a.json", "beyondcam x"), "a.json", "`beyondcam x`")
    (tmp_path / "a.json").write_text("[1, ")
    complaint(lambda: read_json(tmp_path / "a.json", "beyondcam x"), "a.json", "`beyondcam x`")
    (tmp_path / "a.json").write_bytes(b"\xff\xfe[")
    complaint(lambda: read_json(tmp_path / "a.json", "beyondcam x"), "a.json", "`beyondcam x`")


KILLED = """
import os, signal, sys
from pathlib import Path
from beyondcam.files import write_whole
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
write_whole(Path(sys.argv[1]), b"half")
"""


def test_what_a_killed_process_leaves_is_gone_when_the_file_is_written(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
        assert done.returncode == -signal.SIGKILL
        assert not path.exists()
        assert len(list(tmp_path.iterdir())) == 1
    write_whole(path, b"whole")
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"whole"


def test_link_under_the_hidden_name_is_not_followed(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, tmp_path / "a.json"], check=False)
    (partial,) = tmp_path.iterdir()
    partial.unlink()
    (tmp_path / "mine").write_text("kept")
    partial.symlink_to(tmp_path / "mine")
    complaint(lambda: write_whole(tmp_path / "a.json", b"x"), "a.json", "symbolic links")
    assert (tmp_path / "mine").read_text() == "kept"


def test_a_lock_is_waited_for_or_refused(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with locked(tmp_path):
            order.append("second")

    with ThreadPoolExecutor(1) as pool:
        with locked(tmp_path):
            waiting = pool.submit(second)
            with pytest.raises(BlockingIOError), locked(tmp_path, wait=False):
                pass
            order.append("first")
        waiting.result()
    assert order == ["first", "second"]


def test_a_file_is_found_by_its_name_in_either_form_of_unicode(tmp_path: Path) -> None:
    whole, apart = (unicodedata.normalize(form, "é") for form in ("NFC", "NFD"))
    (tmp_path / f"{apart}.xml").touch()
    assert file_below(tmp_path, whole, ".xml") == tmp_path / f"{apart}.xml"
    (tmp_path / f"{whole}.xml").touch()
    for name in (whole, apart):
        assert file_below(tmp_path, name, ".xml") == tmp_path / f"{name}.xml"
    assert file_below(tmp_path, "한" * 80, ".xml").name == "한" * 80 + ".xml"  # too long once it is apart
    complaint(lambda: file_below(tmp_path / "x", f"../{whole}", ".xml"), "leads out")


def test_a_name_longer_than_a_file_system_takes_is_one_line(tmp_path: Path) -> None:
    assert path_below(tmp_path, f"{'a' * 240}/{'b' * 240}", ".png").parent.name == "a" * 240
    complaint(lambda: path_below(tmp_path, "é" * 121), "longer than the 240 bytes")
