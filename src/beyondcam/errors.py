"""The one error meant for people: a single line that names the file or parameter, and what to do."""

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


class MissingWeightsError(BeyondcamError):
    """Pretrained weights that are neither installed nor to be downloaded."""


def printable(text: str) -> str:
    r"""The text as one line that is safe to show: what a terminal would act on is written as an escape.

    >>> printable("two\nlines")
    'two\\nlines'
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def complaint(error: Exception) -> str:
    """What an error complains of, in one line; of pydantic's errors the first, as `field: what`."""
    from pydantic import ValidationError

    if not isinstance(error, ValidationError):
        return " ".join(str(error).split())
    fields, what = first_complaint(error)
    return f"{'.'.join(fields)}: {what}" if fields else what


def first_complaint(error: "ValidationError") -> tuple[list[str], str]:
    """What pydantic complains of first: where, from the outermost field inwards, and what."""
    complaint = error.errors()[0]
    return [str(part) for part in complaint["loc"]], complaint["msg"].removeprefix("Value error, ")
