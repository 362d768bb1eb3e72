"""Open files that others made, and turn whatever goes wrong with their content into one line."""

import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from typing import NamedTuple

from beyondcam.errors import BeyondcamError, one_line

MAX_BYTES = 2**31
"""Files above this size are not read into memory as a whole."""


@contextmanager
def decoding(path: Path, what: str) -> Iterator[None]:
    """Raise a `BeyondcamError` of one line, which names `path`, for anything that is raised inside.

    `what` is what the file should hold, as in "an image". The original exception is chained.
    """
    try:
        yield
    except BeyondcamError:
        raise
    except FileNotFoundError as error:
        raise BeyondcamError(f"{path}: no such {what.removeprefix('an ').removeprefix('a ')}") from error
    except Exception as error:  # decoders raise what they like on a broken file
        raise BeyondcamError(f"{path}: not readable as {what} ({one_line(error)})") from error


class _Whole(BufferedReader):
    """A file of which no more is asked for than is left: memory for a read is taken before it is made."""

    def read(self, size: int | None = -1) -> bytes:
        if size is not None and size > 0:
            size = min(size, max(0, os.fstat(self.fileno()).st_size - self.tell()))
        return super().read(size)


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading. Raises `OSError` where it is a pipe, a device or a folder."""
    if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would wait for its writer
        raise OSError(0, "not a regular file")
    return _Whole(FileIO(path))


def read_bytes(path: Path, most: int = MAX_BYTES) -> bytes:
    """The content of a regular file of at most so many bytes. Raises `OSError` or `ValueError`."""
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most} bytes")
    return content


class Fingerprint(NamedTuple):
    """What a file is known again by.

    Attributes
    ----------
    size : bytes.
    modified : time of the last change, nanoseconds.
    digest : 16 hexadecimal digits of the SHA-256 of the content.

    """

    size: int
    modified: int
    digest: str

    def matches(self, path: Path) -> bool:
        """Whether a file has the same content: its size and time say so, or else its bytes do."""
        try:
            status = path.stat()
            if status.st_size != self.size:
                return False
            if status.st_mtime_ns == self.modified:
                return True
            with open_regular(path) as file:
                return fingerprint(file).digest == self.digest
        except OSError:
            return False


def fingerprint(file: BufferedReader) -> Fingerprint:
    """The fingerprint of an open file, which is left at its start."""
    status = os.fstat(file.fileno())
    digest = hashlib.file_digest(file, "sha256").hexdigest()[:16]
    file.seek(0)
    return Fingerprint(status.st_size, status.st_mtime_ns, digest)
