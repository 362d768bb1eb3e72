"""Labels as Label Studio exports them, and photos by the names that it gives to uploads."""

import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from beyondcam.data.photo import SUFFIXES
from beyondcam.data.rows import Labels, Row, checked
from beyondcam.decode import Table, decoding, read_json

MARKS = {"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time"}
"""What JSON-MIN, CSV and TSV say of each annotation, beside the data of its task and its labels."""

WHAT = "an export of Label Studio"


def read_label_studio(path: Path, known: Sequence[str]) -> Labels:
    """The rows of its JSON or JSON-MIN: the choices of each task, and the labels of its regions.

    A task that was skipped, or that annotators disagree on, has none. Raises `BeyondcamError`.
    """
    content = read_json(path, WHAT)
    with decoding(path, WHAT):
        if not isinstance(content, list) or not all(isinstance(task, dict) for task in content):
            raise ValueError("it is no list of tasks")
        brief = any(task.keys() >= MARKS for task in content)
        rows = list(_rows_of_records(content) if brief else map(_row_of_task, content))
    return _labels(path, rows, known)


def read_exported(path: Path, table: Table, known: Sequence[str]) -> Labels:
    """The rows of its CSV or TSV, whose cells are JSON where they are not plain. Raises `BeyondcamError`."""
    header = table.rows[0][1]
    with decoding(path, WHAT):
        records = [
            {
                key: json.loads(cell) if cell.startswith(("[", "{")) else cell
                for key, cell in zip(header, cells, strict=True)
            }
            for _, cells in table.rows[1:]
        ]
        rows = list(_rows_of_records(records))
    return _labels(path, rows, known)


def _labels(path: Path, rows: Iterable[Row], known: Sequence[str]) -> Labels:
    return Labels(checked(path, rows, known), f"{path.name}, choices of Label Studio")


def _row_of_task(task: Mapping[str, Any]) -> Row:
    done = [a for a in task["annotations"] if not a.get("was_cancelled")]
    truth = [a for a in done if a.get("ground_truth")]
    told = {
        _told([r["value"] for r in annotation["result"] if r.get("type") != "relation"])
        for annotation in truth or done
    }
    return _row(task.get("id"), [*task.get("data", {}).values(), task.get("file_upload")], told)


def _rows_of_records(records: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    """The rows of records, of which each is an annotation, or a task that has none.

    They do not tell a task's data from its labels. So of all that is no photo, one column may have values.
    """
    beside = MARKS | {"agreement", "history"}
    columns = {
        key
        for record in records
        for key, value in record.items()
        if key not in beside and value and not _photo(value)
    }
    if len(columns) > 1:
        raise ValueError(f"{' and '.join(sorted(columns))} could hold its labels; export it as JSON")
    tasks = defaultdict(list)
    for record in records:
        tasks[record["id"]].append(record)
    for task, own in tasks.items():
        told = {_told([r.get(c) for c in columns]) for r in own if r["annotation_id"]}
        yield _row(task, own[0].values(), told)


def _row(task: Any, values: Iterable[Any], told: Collection[frozenset[str] | None]) -> Row:
    """The row of a task with these values, of which each annotation told the names, or nothing of them."""
    photo = next(filter(None, map(_photo, values)), None)
    if photo is None:
        raise ValueError(f"task {task} names no photo")
    names = [names for names in told if names is not None]
    if len(names) == 1:
        return Row(f"task {task}", photo, names[0])
    silent = "has no choices or labels" if told else "nobody has labelled it"
    return Row(f"task {task}", photo, problem="its annotators differ" if names else silent)


def _told(value: Sequence[Any]) -> frozenset[str] | None:
    """The names in an annotation's value; None where it holds other things alone, such as a rating."""
    names = frozenset(_names(value))
    return None if any(value) and not names else names


def _names(value: Any) -> Iterator[str]:
    """The names in a value: one, those of `choices`, `brushlabels` …, or a list of such."""
    if isinstance(value, list):
        for part in value:
            yield from _names(part)
    elif isinstance(value, Mapping):
        for kind, names in value.items():
            if kind == "choices" or kind.endswith("labels"):
                yield from map(str, names)
    elif value:
        yield str(value)


def _photo(value: Any) -> str | None:
    """The photo that a task's value is the address of."""
    if not isinstance(value, str):
        return None
    name = file_at(value)
    return name.lstrip("/") if Path(name).suffix.lower() in SUFFIXES else None


def file_at(address: str) -> str:
    """The path of the file that an address in a task leads to; what is none stays as it is."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    return parse_qs(parts.query).get("d", [unquote(parts.path)])[0]


def uploads(photos: Iterable[tuple[str, str]]) -> Callable[[str], str | None]:
    """What finds a photo by the name, without suffix, under which Label Studio keeps it once uploaded.

    That is eight digits and a dash, then its own name, with `_` for spaces, and without any other sign but
    letters, digits, `_`, `-` and dots. `photos` are pairs of a photo's name, without suffix and folder, and
    its id. Of photos that are kept under the same name, none is found.
    """

    @cache
    def kept() -> Mapping[str, set[str]]:  # most files of labels are of no uploads
        names = defaultdict[str, set[str]](set)
        for name, image_id in photos:
            for form in ("NFC", "NFD"):  # accents that stand apart are other signs
                written = unicodedata.normalize(form, name).replace(" ", "_")
                names[re.sub(r"[^-\w.]", "", written)].add(image_id)
        return names

    def find(name: str) -> str | None:
        own = kept().get(name[9:], set()) if re.match("[0-9a-f]{8}-", name) else set()
        return next(iter(own)) if len(own) == 1 else None

    return find
