"""Files of our own: written whole or not at all, and never outside of the folder they belong to."""

import contextlib
import csv
import errno
import hashlib
import io
import json
import os
import platform
import re
import sys
import unicodedata
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from beyondcam import decode
from beyondcam.errors import BeyondcamError, NoRoomError, one_line

if sys.platform != "win32":
    import fcntl

T = TypeVar("T")
R = TypeVar("R")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it never stands half-written under its name, whenever the process dies.

    What a killed process leaves of it, under a hidden name, is written over by the next to write the file.
    """
    digest = hashlib.sha256(f"{platform.node()}/{path.name}".encode(errors="surrogatepass")).hexdigest()
    partial = path.with_name(f".{digest[:32]}")
    with writing(path), locked(partial, file=True) as alone:
        if not alone:
            partial.unlink(missing_ok=True)
            partial = path.with_name(f".{uuid.uuid4().hex}")
        try:
            partial.write_bytes(content)
            partial.replace(path)
        except OSError:
            partial.unlink(missing_ok=True)
            raise


def append_line(path: Path, line: str, whole: Callable[[bytes], bool] = lambda _: False) -> None:
    """Add a line to a file, after those of other processes; it is on disk when this returns.

    The start of a line that a killed process left at the end is dropped, but for a `whole` one, whose end
    somebody's editor has taken. What is no Unicode is escaped.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked(path, file=True), path.open("a+b") as file:
            if (tail := _tail(file)) and whole(tail):
                line = f"\n{line}"
            else:
                file.truncate(file.seek(0, os.SEEK_END) - len(tail))
            file.write(f"{line}\n".encode(errors="backslashreplace"))
        sync(path)


def _tail(file: BinaryIO) -> bytes:
    """What stands behind the last end of a line."""
    tail, start = b"", file.seek(0, os.SEEK_END)
    while start and b"\n" not in tail:
        end, start = start, max(0, start - 4096)
        file.seek(start)
        tail = file.read(end - start) + tail
    return tail.rpartition(b"\n")[2]


@contextlib.contextmanager
def reading(data: str | os.PathLike[str]) -> Iterator[None]:
    """Raise `BeyondcamError` where files or folders of data cannot be looked at inside."""
    try:
        yield
    except OSError as error:
        raise BeyondcamError(f"{error.filename or data}: could not be read ({one_line(error)})") from error


NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO)
"""The numbers of the errors of a disk that takes no more."""


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Raise `BeyondcamError` where a file cannot be written inside, `NoRoomError` where none can be."""
    try:
        yield
    except OSError as error:
        kind = NoRoomError if error.errno in NO_ROOM else BeyondcamError
        raise kind(f"{path}: could not be written ({error.strerror})") from None


def sync(path: Path) -> None:
    """Have a file, and its name, on disk. Raises `OSError`."""
    if sys.platform != "win32":  # which opens no folder
        for place in (path, path.parent):
            descriptor = os.open(place, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


@contextlib.contextmanager
def locked(path: Path, *, file: bool = False, wait: bool = True) -> Iterator[bool]:
    """Make a folder, or a `file`, and keep others that ask for the same out of it until the end or a kill.

    Gives whether that is so: some network file systems have no locks. Raises `BlockingIOError` where another
    has it and this is not to `wait`, and `OSError` where it cannot be made.
    """
    (path.parent if file else path).mkdir(parents=True, exist_ok=True)
    if sys.platform == "win32":
        yield False
        return
    flags = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW if file else os.O_RDONLY
    same = False
    while not same:  # it was moved away by the one before
        descriptor = os.open(path, flags, 0o666)
        try:
            alone = _lock(descriptor, wait=wait)
            same = _is(path, descriptor)
            if same:
                yield alone
        finally:
            os.close(descriptor)


def _lock(descriptor: int, *, wait: bool) -> bool:
    """Lock an open file; False where that cannot be done here."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


LONGEST = 240
"""Bytes of a name: most file systems take 255, and something may be put around it."""


def path_below(folder: Path, name: str, suffix: str = "") -> Path:
    """`folder/NAME` with a suffix, where that lies below the folder, directly or in a subfolder.

    Raises `BeyondcamError` for a name that leads elsewhere (absolute, or with `..` or a drive letter), that
    is empty or too long, or that holds a control character.
    """
    parts = re.split(r"[/\\]", name)
    if max(len(part.encode(errors="replace")) for part in parts) > LONGEST:
        raise BeyondcamError(f"{name[:60]!r}…: is longer than the {LONGEST} bytes of a file's name")
    if {"", ".", ".."} & {*parts} or re.match("[A-Za-z]:", name) or re.search(r"[\x00-\x1f\x7f]", name):
        raise BeyondcamError(f"{name!r}: leads out of {folder}, or is no name of a file")
    return folder / f"{name}{suffix}"


def file_below(folder: Path, name: str, suffix: str = "") -> Path:
    """`path_below`; where no file is called so, one whose accents are composed or apart, if there is one."""
    asked = path_below(folder, name, suffix)
    spelt = (folder / unicodedata.normalize(form, f"{name}{suffix}") for form in ("NFC", "NFD"))
    with contextlib.suppress(OSError):  # which is said where it is read; or another name is too long
        return next((path for path in dict.fromkeys((asked, *spelt)) if path.is_file()), asked)
    return asked


def write_json(path: Path, content: Any) -> None:
    """`write_whole` of indented JSON; what is no Unicode, as in names of files, is escaped."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, text.encode(errors="backslashreplace"))


def write_csv(path: Path, rows: Iterable[Sequence[object]]) -> None:
    """`write_whole` of a table; bytes that are no Unicode, as in names of files, stay as they are."""
    write_whole(path, csv_of(rows).encode("utf-8", "surrogateescape"))


def csv_of(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV, a line each."""
    table = io.StringIO()
    csv.writer(table, lineterminator="\n").writerows(rows)
    return table.getvalue()


def read_json(path: Path, made_by: str) -> Any:
    """Read JSON that the command `made_by` writes. Raises `BeyondcamError` that names it."""
    if not path.exists():
        raise BeyondcamError(f"{path}: not there; `{made_by}` makes it")
    try:
        return decode.read_json(path)
    except BeyondcamError as error:
        raise BeyondcamError(f"{error}; delete it, and `{made_by}` makes it anew") from error


def hash_of_file(path: Path) -> str:
    """Ten hexadecimal digits of a file's content. Raises `OSError`."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:10]


def hash_of(content: Any) -> str:
    """Ten hexadecimal digits of something in JSON's types."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]
