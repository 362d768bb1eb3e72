"""The one error this package raises at people: a single line that names the file or field and what to do."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # importing it takes a while
    from pydantic import ValidationError


class BeyondcamError(Exception):
    """Unusable arguments, data or files. The message is one line, meant to be read by a person."""


class MissingWeightsError(BeyondcamError):
    """Pretrained weights that are neither installed nor to be downloaded."""


def first_complaint(error: "ValidationError") -> tuple[list[str], str]:
    """What pydantic complains of first: where, from the outermost field inwards, and what."""
    complaint = error.errors()[0]
    return [str(part) for part in complaint["loc"]], complaint["msg"].removeprefix("Value error, ")
