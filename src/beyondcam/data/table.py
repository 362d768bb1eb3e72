"""Tables of labels and `classes.txt`, as people and their programs write them."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from beyondcam.data.label_studio import MARKS, read_exported
from beyondcam.data.rows import Labels, Row, checked
from beyondcam.data.source import BACKGROUND, clean_name
from beyondcam.decode import Table, read_table, read_text
from beyondcam.errors import BeyondcamError

IMAGE = (
    "image", "images", "image_id", "image_name", "image_path", "img", "file", "file_name", "filename",
    "filepath", "file_path", "path", "photo", "picture",
)  # fmt: skip
LABEL = ("label", "labels", "class", "classes", "category", "categories", "tag", "tags")
SPLIT = {"split", "subset", "set", "fold", "partition"}
YES = ("1", "1.0", "x", "true", "yes", "wahr", "vrai")
NO = ("", "0", "0.0", "false", "no", "falsch", "faux")
"""What says of a class, in a column of its own, that it is there or not."""


def read_labels(path: Path, known: Sequence[str]) -> Labels:
    """The rows of a CSV of photos and labels.

    Its header names a column of photos, as in `image,labels`, and either one of labels, which are joined by
    `;`, `|` or `,` or stand in rows of their own, or one for each class, of 0 and 1. Names that `known` has
    are taken as they are; others are refused where they are surely a mistake. Label Studio's tables are told
    by their columns. Raises `BeyondcamError`.
    """
    table = read_table(path)
    names = table.rows[0][1] if table.rows else []
    if MARKS.issubset(names):
        return read_exported(path, table, known)
    images, labels = (
        [n for n, name in enumerate(names) if name.casefold() in kind] for kind in (IMAGE, LABEL)
    )
    image = min(images, key=lambda n: IMAGE.index(names[n].casefold()), default=None)
    if image is None or len(labels) > 1 or len(names) < 2:
        raise BeyondcamError(
            f"{path}: its first line must name the columns, as image,labels or image and each class, but is "
            f"{', '.join(names) or 'empty'}; where folders are the classes, write imagefolder:PATH"
        )
    rows = _rows_of_labels(path, table, image, labels[0], known) if labels else _rows(path, table, image)
    form = f"{path.name}, {'photos and labels' if labels else 'a column for each class'}"
    others = [name for n, name in enumerate(names) if labels and n not in (image, labels[0])]
    if others:
        form += f", not read: {', '.join(others)}"
        form += (
            " (splits are folders train/ and val/)" if SPLIT.intersection(map(str.casefold, others)) else ""
        )
    if table.encoding == "cp1252":
        form += " (read as Windows-1252; if names look wrong, save it as UTF-8)"
    return Labels(checked(path, rows, known), form)


def _rows_of_labels(path: Path, table: Table, image: int, label: int, known: Sequence[str]) -> list[Row]:
    """The rows of a table with a column of labels."""
    header, cells = table.rows[0][1], list[tuple[str, str, str]]()
    unquoted = (image, label, len(header)) == (0, 1, 2)  # further cells are labels too
    for line, read in table.rows[1:]:
        row = [read[0], ";".join(read[1:])] if unquoted and len(read) > 2 else read
        if len(row) != len(header) or not row[image]:
            raise BeyondcamError(f"{path}, line {line}: write image,labels with labels joined by ;")
        cells.append((f"line {line}", row[image], row[label]))
    joiner = _joiner([labels for *_, labels in cells], known)
    rows = [
        Row(where, photo, frozenset(name for part in labels.split(joiner) if (name := clean_name(part))))
        for where, photo, labels in cells
    ]
    _check_joined(path, rows, joiner, known)
    return rows


def _joiner(cells: Sequence[str], known: Sequence[str]) -> str:
    """What joins labels: `;` or `|` where there is any, a comma where what it parts are surely names."""
    unknown = [cell for cell in cells if clean_name(cell) not in known]
    for joiner in ";|":
        if any(joiner in cell for cell in unknown):
            return joiner
    return "," if _shared(unknown, ",", known) else ";"


def _shared(cells: Sequence[str], joiner: str, known: Sequence[str]) -> set[str]:
    """The cells that a joiner parts into names of which one is known, or in another cell too."""
    parts = {cell: {clean_name(part) for part in cell.split(joiner)} - {""} for cell in cells}
    times = Counter(part for own in parts.values() for part in own)
    return {
        cell
        for cell, own in parts.items()
        if len(own) > 1 and any(part in known or times[part] > 1 for part in own)
    }


def _check_joined(path: Path, rows: Sequence[Row], joiner: str, known: Sequence[str]) -> None:
    """Refuse names that are joined of others by another joiner, or by spaces."""
    names = [*dict.fromkeys(name for row in rows for name in sorted(row.labels.difference(known)))]
    joined = _spaced(names).union(*(_shared(names, other, known) for other in ",|" if other != joiner))
    for row in rows:
        for name in sorted(row.labels & joined):
            raise BeyondcamError(
                f"{path}, {row.where}: label {name!r} looks like several, which are joined by {joiner!r}; "
                "if it is a class, list it in classes.txt"
            )


def _spaced(names: Sequence[str]) -> set[str]:
    """The names that are surely several, joined by spaces; none where they may be names of several words.

    In surely joined ones each word is in other names too, and either all are names alone as well, or what is
    left of some name without one word is another name of several words.
    """
    words = {name: frozenset(name.split()) for name in names}
    several = {name: own for name, own in words.items() if len(own) > 1}
    times, used = Counter(word for own in words.values() for word in own), set().union(*several.values())
    if len(several) < 2 or any(times[word] < 2 for word in used):
        return set()
    sets = {*several.values()}
    nested = any(len(own) > 2 and own - {word} in sets for own in sets for word in own)
    return {*several} if nested or used <= {*names} else set()


def _rows(path: Path, table: Table, image: int) -> Iterator[Row]:
    """The rows of a table with a column for each class."""
    header = table.rows[0][1]
    for line, cells in table.rows[1:]:
        row = [*cells, *[""] * (len(header) - len(cells))]
        if len(row) > len(header) or not row[image]:
            raise BeyondcamError(f"{path}, line {line}: has other columns than the first line")
        labels = set[str]()
        for n, (name, cell) in enumerate(zip(header, row, strict=True)):
            if n == image:
                continue
            if not name or header.count(name) > 1 or cell.casefold() not in YES + NO:
                raise BeyondcamError(
                    f"{path}, line {line}: column {name!r} holds {cell!r}, where a class of its own name has "
                    "0 or 1; a column of labels is called labels"
                )
            if cell.casefold() in YES:
                labels.add(name)
        yield Row(f"line {line}", row[image], frozenset(labels))


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
