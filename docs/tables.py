"""The figures that stand in the tables of docs, read for the plots so that none is typed twice."""

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parent

Row = dict[str, str]


class Measured(NamedTuple):
    """A figure with its 95 % interval; without one, all three are the same."""

    value: float
    low: float
    high: float


def measured(cell: str) -> Measured:
    """The first figure of a cell such as `0.721 [0.689, 0.751]` or `0.363 at 0.66`."""
    number = r"[-+]?\d+(?:\.\d+)?"
    match = re.match(rf"({number})(?:%)?(?: \[({number}), ({number})\])?", cell)
    if not match:
        raise ValueError(f"not a figure: {cell!r}")
    value = float(match[1])
    return Measured(value, float(match[2] or value), float(match[3] or value))


def tables(page: str, section: str) -> list[list[Row]]:
    """The tables of a section of docs/PAGE.md: rows by the names of their columns.

    Where two columns have one name, the second is `NAME 2`.
    """
    text = (DOCS / f"{page}.md").read_text(encoding="utf-8")
    match = re.search(rf"<!-- {section} -->(.*)<!-- end {section} -->", text, re.DOTALL)
    if not match:
        raise ValueError(f"docs/{page}.md has no section {section}")
    found: list[list[Row]] = []
    for block in re.findall(r"(?:^\|.*\|\n)+", match[1], re.MULTILINE):
        head, _, *rows = ([cell.strip() for cell in line[1:-1].split("|")] for line in block.splitlines())
        names = [f"{name} 2" if name in head[:i] else name for i, name in enumerate(head)]
        found.append([dict(zip(names, row, strict=True)) for row in rows])
    return found


def by(rows: list[Row], column: str = "recipe") -> dict[str, Row]:
    """Rows by what stands in a column, without its backticks."""
    return {row[column].strip("`"): row for row in rows}
