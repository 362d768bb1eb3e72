"""Files that are either whole or not there, and results that people can read."""

import contextlib
import hashlib
import json
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

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


def write_json(path: Path, content: Any) -> None:
    """`write_whole` of indented JSON."""
    write_whole(path, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())


def read_json(path: Path, made_by: str) -> Any:
    """Read JSON that the command `made_by` writes. Raises `BeyondcamError` that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BeyondcamError(f"{path}: not there; `{made_by}` makes it") from None
    except (OSError, ValueError) as error:
        raise BeyondcamError(f"{path}: not readable ({error}); `{made_by}` makes it anew") from None


def read_text(path: Path) -> str:
    """UTF-8 text, with a byte order mark or without. Raises `BeyondcamError` where it is no such text."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BeyondcamError(f"{path}: not UTF-8 text ({error})") from None


def hash_of(content: Any) -> str:
    """Ten hexadecimal digits of something in JSON's types."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:10]


def ahead(function: Callable[[T], R], items: Iterable[T], *, threads: int = 2) -> Iterator[R]:
    """`map`, with the next few results worked out in threads: order and results are those of `map`."""
    items = iter(items)
    with ThreadPoolExecutor(threads) as pool:
        waiting = [pool.submit(function, item) for item in islice(items, 2 * threads)]
        while waiting:
            result = waiting.pop(0).result()
            waiting.extend(pool.submit(function, item) for item in islice(items, 1))
            yield result
