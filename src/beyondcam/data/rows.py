"""What files of labels say, whoever wrote them: a photo a row, and the names of the classes in it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from beyondcam.data.photo import SUFFIXES
from beyondcam.data.source import check_case, clean_name
from beyondcam.errors import BeyondcamError

NOTHING = ("nan", "none", "null", "n/a", "<na>")
"""What programs write into an empty cell."""


class Row(NamedTuple):
    """What a file says of a photo.

    Attributes
    ----------
    where : in the file, as in "line 3".
    photo : as written.
    labels : the names of the classes in it.
    problem : why nobody knows what they are; empty where they are known.

    """

    where: str
    photo: str
    labels: frozenset[str] = frozenset()
    problem: str = ""


class Labels(NamedTuple):
    """The rows of a file, and what it was taken for, in words for people."""

    rows: list[Row]
    form: str


def checked(path: Path, rows: Iterable[Row], known: Sequence[str]) -> list[Row]:
    """The rows with clean names. Raises `BeyondcamError` for a name that is surely a mistake, if not `known`.

    So are what programs write for none, names of files, and names that differ in case alone.
    """
    table = []
    for row in rows:
        labels = frozenset(name for label in row.labels if (name := clean_name(label)))
        for name in sorted(labels.difference(known)):
            if problem := _mistake(name):
                raise BeyondcamError(
                    f"{path}, {row.where}: {problem}; if it is a class, list it in classes.txt"
                )
        table.append(row._replace(labels=labels))
    check_case(((f"{path}, {row.where}", name) for row in table for name in sorted(row.labels)), known)
    return table


def _mistake(name: str) -> str | None:
    """What is surely wrong with the name of a class."""
    if name.casefold() in NOTHING:
        return f"label {name!r} is what programs write for none; leave the cell empty, or name it (negatives)"
    if "\t" in name or name.startswith(("[", "{", "('", '("')):
        return f"label {name!r} looks like several, which are joined by ';'"
    if Path(name).suffix.lower() in SUFFIXES:
        return f"label {name!r} is the name of a photo; put names that hold a comma in quotes"
    return None
