"""The command line: the edge where arguments are checked and errors become one line.

Exit status: 0 done; 1 the run ended but some inputs were left out; 2 unusable arguments or data;
130 interrupted by Ctrl-C.
"""

import os
import sys
from typing import Any, NoReturn

from beyondcam.cli.terminal import DEBUG, log, prepare_terminal, silence_libraries
from beyondcam.errors import BeyondcamError


def main() -> NoReturn:
    """Run the command line. Whatever goes wrong ends in one line on stderr."""
    prepare_terminal()  # before anything is imported that takes a while
    import typer

    silence_libraries()
    usage_error: Any = typer.BadParameter.__base__  # of every wrong option; typer has no public name for it
    try:
        from beyondcam.cli.app import make_app

        status = make_app(sys.argv[1:])(standalone_mode=False)
    except usage_error as error:
        _fail(f"{error.format_message().rstrip('.')}; see --help")
    except BeyondcamError as error:
        _fail(str(error))
    except OSError as error:
        _fail(f"{error.filename or 'disk'}: {error.strerror or error}")
    except Exception as error:
        if _lacks_memory(error):
            _fail("out of memory; take a smaller batch, fewer workers or smaller images")
        _fail(f"{type(error).__name__}: {error}; this is a bug in beyondcam. {_report_bug()}")
    sys.exit(status or 0)


def _fail(message: str) -> NoReturn:
    log(f"beyondcam: {message}")
    if os.environ.get(DEBUG):
        import traceback

        traceback.print_exc()
    sys.exit(2)


def _lacks_memory(error: Exception) -> bool:
    """Whether there was too little memory, as torch says by errors of its own, of a GPU's and of ours."""
    torchs = type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or torchs


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
