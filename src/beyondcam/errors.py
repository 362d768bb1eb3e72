"""The one error meant for people: a single line that names the file or parameter, and what to do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing it takes a while
    from pydantic import ValidationError


class BeyondcamError(Exception):
    """Unusable arguments, data or files. The message is one printable line, meant to be read by a person.

    Parameters
    ----------
    message : what is wrong, and what to do about it.
    parameter : the name of the parameter that is wrong, which the message is then made to begin with.

    """

    def __init__(self, message: str, *, parameter: str | None = None) -> None:
        super().__init__(printable(message if parameter is None else f"{parameter}: {message}"))
        self.parameter = parameter


class NoRoomError(BeyondcamError):
    """A disk that is full, or takes no more writes: nothing that follows can be written either."""


class MissingWeightsError(BeyondcamError):
    """Pretrained weights that are neither installed nor to be downloaded."""


@contextmanager
def read_from(path: Path) -> Iterator[None]:
    """Have the errors raised inside name the file that settings were read from, in place of a parameter."""
    try:
        yield
    except BeyondcamError as error:
        raise type(error)(f"{path}: {error}") from error


def printable(text: str) -> str:
    r"""The text as one line that is safe to show: what a terminal would act on is written as an escape.

    >>> printable("two\nlines")
    'two\\nlines'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def some_of(names: Sequence[str], most: int = 9) -> str:
    """The first few of some names, for messages.

    >>> some_of(["a", "b", "c"], 2)
    'a, b, …'
    """
    return ", ".join([*names[:most], *["…"] * (len(names) > most)])


def shape_of(value: object) -> str:
    """The shape of a tensor or an array, the type of anything else, for messages."""
    shape = getattr(value, "shape", None)
    return f"a {type(value).__name__}" if shape is None else f"{(*shape,)}"


def one_line(error: BaseException) -> str:
    """What an exception says, as one printable line; its type where it says nothing.

    Of pydantic's complaints it is the first, as `field: what`.
    """
    from pydantic import ValidationError

    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, ValidationError):
        fields, what = first_complaint(error)
        return printable(f"{'.'.join(fields)}: {what}" if fields else what)
    text = printable(" ".join(str(error).split()))
    return (text if len(text) <= 200 else f"{text[:200]} …") or type(error).__name__


def first_complaint(error: "ValidationError") -> tuple[list[str], str]:
    """What pydantic complains of first: where, from the outermost field inwards, and what."""
    complaint = error.errors()[0]
    return [str(part) for part in complaint["loc"]], complaint["msg"].removeprefix("Value error, ")
