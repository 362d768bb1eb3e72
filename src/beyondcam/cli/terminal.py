"""What reaches the terminal: one line a message, on any console; no warnings of libraries, no traceback."""

import io
import os
import signal
import sys
from contextlib import suppress
from types import FrameType

from beyondcam.errors import printable

DEBUG = "BEYONDCAM_DEBUG"
"""The environment variable that has tracebacks and warnings shown; `beyondcam --debug` sets it."""


def log(message: str) -> None:
    """Show a message on stderr, as one line; where nobody reads it, nowhere."""
    with suppress(OSError):
        print(printable(message), file=sys.stderr, flush=True)  # noqa: T201


def show(line: str) -> None:
    """Print a line of the result on stdout."""
    print(printable(line))  # noqa: T201


def prepare_terminal() -> None:
    """Show all text on any console, and end at Ctrl-C without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # of consoles that are not UTF-8
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def silence_libraries() -> None:
    """Show no warnings of Pillow, torch and others: what matters is said by this package, in one line."""
    import logging
    import warnings

    if not os.environ.get(DEBUG):
        logging.disable(logging.WARNING)
        warnings.simplefilter("ignore")
        os.environ.setdefault("PYTHONWARNINGS", "ignore")  # in worker processes


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """End at once: files are written whole or not at all, and worker processes end with this one.

    An exception would be reported by, or lost in, whatever import, callback or thread it hits.
    """
    del signum, frame
    show_cursor = "\x1b[?25h" if sys.stderr and sys.stderr.isatty() else ""  # a progress bar hides it
    os.write(2, f"{show_cursor}beyondcam: interrupted\n".encode())
    os._exit(130)
