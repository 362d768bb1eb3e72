"""The command line: the edge where arguments are checked and errors become one line.

Exit status: 0 done; 1 the run ended but some inputs were left out; 2 unusable arguments or data;
130 interrupted by Ctrl-C.
"""

import io
import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

from beyondcam.errors import BeyondcamError, printable

DEBUG = "BEYONDCAM_DEBUG"
"""The environment variable that has tracebacks and warnings shown; `beyondcam --debug` sets it."""


def main() -> NoReturn:
    """Run the command line. Whatever goes wrong ends in one line on stderr."""
    _prepare_terminal()  # before anything is imported that takes a while
    import typer

    _silence_libraries()
    usage_error: Any = typer.BadParameter.__base__  # of every wrong option; typer has no public name for it
    try:
        from beyondcam.cli.app import make_app

        status = make_app(sys.argv[1:])(standalone_mode=False)
    except usage_error as error:
        _fail(f"{error.format_message().rstrip('.')}; see --help")
    except BeyondcamError as error:
        _fail(str(error))
    except MemoryError:
        _fail("out of memory; take a smaller batch, fewer workers or smaller images")
    except OSError as error:
        _fail(f"{error.filename or 'disk'}: {error.strerror or error}")
    except Exception as error:
        _fail(f"{type(error).__name__}: {error}; this is a bug in beyondcam. {_report_bug()}")
    sys.exit(status or 0)


def log(message: str) -> None:
    """Show a message on stderr, as one line."""
    print(printable(message), file=sys.stderr, flush=True)  # noqa: T201


def _prepare_terminal() -> None:
    """Show all text on any console, and end at Ctrl-C without a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # of consoles that are not UTF-8
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupt)


def _silence_libraries() -> None:
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


def _fail(message: str) -> NoReturn:
    log(f"beyondcam: {message}")
    if os.environ.get(DEBUG):
        import traceback

        traceback.print_exc()
    sys.exit(2)


def _report_bug() -> str:
    """Write what is known of the current exception to a file; return what to do with it."""
    import tempfile
    import traceback
    from importlib import metadata

    packages = "\n".join(sorted(f"{package.name} {package.version}" for package in metadata.distributions()))
    text = f"{sys.argv}\n\n{traceback.format_exc()}\nPython {sys.version} on {sys.platform}\n{packages}\n"
    try:
        file, name = tempfile.mkstemp(".txt", "beyondcam-bug-")
        with open(file, "wb") as opened:  # noqa: PTH123  (it is open already)
            opened.write(text.encode(errors="backslashreplace"))
    except OSError:
        return "Please open an issue with what the same command shows with BEYONDCAM_DEBUG=1"
    return f"Please open an issue with {name}"
