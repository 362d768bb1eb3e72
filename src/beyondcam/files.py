"""Files of our own: written whole or not at all, and never outside of the folder they belong to."""

import contextlib
import hashlib
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from beyondcam import decode
from beyondcam.errors import BeyondcamError

T = TypeVar("T")
R = TypeVar("R")


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it never stands half-written under its name, whenever the process dies."""
    partial = path.with_name(f".{uuid.uuid4().hex}")  # no other process or machine writes to this one
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise BeyondcamError(f"{path}: could not be written ({error.strerror})") from None


def path_below(folder: Path, name: str, suffix: str = "") -> Path:
    """`folder/NAME` with a suffix, where that lies below the folder, directly or in a subfolder.

    Raises `BeyondcamError` for a name that leads elsewhere (absolute, or with `..` or a drive letter), that
    is empty, or that holds a control character.
    """
    parts = re.split(r"[/\\]", name)
    if {"", ".", ".."} & {*parts} or re.match("[A-Za-z]:", name) or re.search(r"[\x00-\x1f\x7f]", name):
        raise BeyondcamError(f"{name!r}: leads out of {folder}, or is no name of a file")
    return folder / f"{name}{suffix}"


def write_json(path: Path, content: Any) -> None:
    """`write_whole` of indented JSON; what is no Unicode, as in names of files, is escaped."""
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    write_whole(path, text.encode(errors="backslashreplace"))


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


def ahead(function: Callable[[T], R], items: Iterable[T], *, threads: int = 2) -> Iterator[R]:
    """`map`, with the next few results computed in threads; order and results are those of `map`."""
    items = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(function, item) for item in islice(items, 2 * threads)]
        while waiting:
            result = waiting.pop(0).result()
            waiting.extend(pool.submit(function, item) for item in islice(items, 1))
            yield result
