"""`labels.csv` and `classes.txt`, as people and their programs write them."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from beyondcam.data.source import BACKGROUND, clean_name
from beyondcam.decode import read_table, read_text
from beyondcam.errors import BeyondcamError

NOTHING = ("nan", "none", "null", "n/a", "<na>")
"""What programs write into an empty cell."""


class Row(NamedTuple):
    """A line of `labels.csv`: its number, the photo as written, and the names of the classes in it."""

    line: int
    photo: str
    labels: frozenset[str]


def read_labels(path: Path, known: Sequence[str]) -> list[Row]:
    """The rows of a table of photos and labels; none where there is no such file.

    Its header is `image,labels` in any case; labels are joined by `;`, or an image has a row for each. Names
    that `known` has are taken as they are; others are refused where they are surely a mistake. Raises
    `BeyondcamError`.
    """
    if not path.exists():
        return []
    separator, ((_, header), *rows) = _columns(path)
    image, label = header.index("image"), header.index("labels")
    table = []
    for line, row in rows:
        joined = separator == ";" and len(header) == 2  # by what separates the cells
        cells = [row[0], ";".join(row[1:])] if joined else row
        if len(cells) != len(header) or not cells[image]:
            raise BeyondcamError(f"{path}, line {line}: write image,labels with labels joined by ;")
        labels = frozenset(name for part in cells[label].split(";") if (name := clean_name(part)))
        for name in sorted(labels.difference(known)):
            if problem := _mistake(name):
                raise BeyondcamError(
                    f"{path}, line {line}: {problem}; if it is a class, list it in classes.txt"
                )
        table.append(Row(line, cells[image], labels))
    _check_joined(path, table, known)
    _check_case(path, table, known)
    return table


def _columns(path: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    """The separator and the rows of the table, the first of which has the names of its columns."""
    separator, rows = read_table(path)
    names = [{"label": "labels"}.get(cell.casefold(), cell.casefold()) for cell in rows[0][1]] if rows else []
    if names.count("image") != 1 or names.count("labels") != 1:
        raise BeyondcamError(f"{path}: its first line must name the columns, image,labels")
    return separator, [(1, names), *rows[1:]]


def _mistake(name: str) -> str | None:
    """What is surely wrong with the name of a class."""
    if name.casefold() in NOTHING:
        return f"label {name!r} is what programs write for none; leave the cell empty"
    if "\t" in name or (name[0], name[-1]) in (("[", "]"), ("{", "}")):
        return f"label {name!r} looks like several, which are joined by ';'"
    return None


def _check_joined(path: Path, table: Sequence[Row], known: Sequence[str]) -> None:
    """Refuse names that are joined of others, or of parts that others are joined of too."""
    parts = {
        name: {clean_name(part) for part in re.split("[,|]", name)} - {""}
        for row in table
        for name in row.labels
    }
    names_of = Counter(part for own in parts.values() for part in own)
    for row in table:
        for name in sorted(row.labels.difference(known)):
            own = parts[name]
            if len(own) > 1 and any(part in known or names_of[part] > 1 for part in own):
                raise BeyondcamError(
                    f"{path}, line {row.line}: label {name!r} looks like several, which are joined by ';'; "
                    "if it is a class, list it in classes.txt"
                )


def _check_case(path: Path, table: Sequence[Row], known: Sequence[str]) -> None:
    """Refuse names that differ in upper and lower case alone."""
    seen: dict[str, str] = {name.casefold(): name for name in known}
    for row in table:
        for name in sorted(row.labels.difference(known)):
            other = seen.setdefault(name.casefold(), name)
            if other != name:
                raise BeyondcamError(
                    f"{path}, line {row.line}: {name!r} is also written {other!r}; write one of them"
                )


def read_classes(path: Path) -> list[str]:
    """The names in `classes.txt`: class k is line k. None of them is of the background.

    A first line that names the background is line 0, as programs write it whose masks count from it. Raises
    `BeyondcamError`.
    """
    if not path.exists():
        return []
    names = [clean_name(line) for line in read_text(path).rstrip().splitlines()]
    while names and names[0].casefold() in BACKGROUND:
        del names[0]
    for line, name in enumerate(names, start=1):
        if not name or names.index(name) < line - 1:
            problem = f"{name} stands here twice" if name else f"class {line} has no name"
            raise BeyondcamError(f"{path}: {problem}")
    return names


def used_names(labels: Mapping[str, frozenset[str]]) -> list[str]:
    """The names that occur, sorted."""
    return sorted(frozenset().union(*labels.values()))
