"""Text, tables, JSON and XML that others wrote, in whatever encoding their programs use."""

import codecs
import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any, NamedTuple

from beyondcam.decode.door import decoding, open_regular, read_bytes
from beyondcam.errors import BeyondcamError

MAX_TABLE_BYTES = 2**28
MAX_XML_BYTES = 2**24
MAX_YAML_BYTES = 2**20

csv.field_size_limit(MAX_TABLE_BYTES)  # Label Studio writes masks into cells; by default 128 KB are the most

_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_SLOW = {"idna", "punycode"}
"""Encodings of host names, whose decoders take quadratic time."""

_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949"}
"""What programs write that declare the narrower encoding."""


def read_json(path: Path, what: str = "JSON") -> Any:
    """The content of a JSON file, with a byte order mark or without. Raises `BeyondcamError`."""
    with decoding(path, what):
        return json.loads(read_bytes(path))


_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UNLIKELY = re.compile(
    "[^\x00-\x7f]{3}|[^\x00-\x7f\xa0\xba\xaa\xb0\xc0-\xd6\xd8-\xf6\xf8-\xff\u2019\u2013\u20ac\u0152\u0153]"
)
"""What Western European names do not hold: three letters with accents in a row, or other signs."""


class Table(NamedTuple):
    """A CSV file.

    Attributes
    ----------
    rows : each with the number of its line.
    encoding : "utf-8" for any Unicode, or "cp1252".

    """

    rows: list[tuple[int, list[str]]]
    encoding: str


def read_text(path: Path) -> str:
    """UTF-8 text, or UTF-16 with a byte order mark. Raises `BeyondcamError`."""
    return _decoded(path, _content(path))


def _content(path: Path) -> bytes:
    with decoding(path, "a text file"):
        return read_bytes(path, MAX_TABLE_BYTES)


def _decoded(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-16" if content.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BeyondcamError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from error


def _is_western(content: bytes) -> bool:
    """Whether text that is no UTF-8 can be in Windows' Western European encoding.

    Spreadsheets write it (with latin-1 as a part of it) where nobody asks for UTF-8. Nearly every byte means
    something in it, so letters that stand as in no Western language show that it is another.
    """
    text = content.decode("cp1252", "replace")
    return not content.startswith(_UTF16) and not _UNLIKELY.search(text)


def read_table(path: Path) -> Table:
    """A CSV file.

    Cells are separated by what separates those of the first line, a comma, a semicolon or a tab, or by what a
    line `sep=` before it says. Empty rows are left out, as are empty cells at the end of the first row, and
    of others past those of the first. Raises `BeyondcamError`.
    """
    content, encoding = _content(path), "utf-8"
    try:
        text = _decoded(path, content)
    except BeyondcamError:
        if not _is_western(content):
            raise
        text, encoding = content.decode("cp1252"), "cp1252"
    said = re.match(r"sep=([,;\t])(?=[\r\n])", text)  # Excel's
    first = re.split(r"[\r\n]", text.lstrip(), maxsplit=1)[0]  # a carriage return alone ends a Mac's lines
    separator = said[1] if said else max(",;\t", key=first.count)
    with decoding(path, "CSV"):
        source = io.StringIO(text, newline="")
        reader = csv.reader(source, delimiter=separator, skipinitialspace=True, strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    rows = [(line, row) for line, row in rows[1 if said else 0 :] if any(row)]
    while rows and not rows[0][1][-1]:
        rows[0][1].pop()
    width = len(rows[0][1]) if rows else 0
    for _, row in rows:
        while len(row) > width and not row[-1]:
            row.pop()
    return Table(rows, encoding)


def read_json_lines(path: Path) -> list[tuple[int, Any]]:
    """The values of a file with JSON on each line, and the numbers of the lines. Raises `BeyondcamError`."""
    with decoding(path, "JSON lines"):
        lines = enumerate(read_text(path).split("\n"), 1)
        return [(number, json.loads(line)) for number, line in lines if line.strip()]


def beginning(path: Path) -> str:
    """A kilobyte of the beginning of a text file, less spaces in front; nothing without a file."""
    try:
        with open_regular(path) as file:
            return file.read(1024).decode("utf-8-sig", "ignore").lstrip()
    except OSError:
        return ""


def read_yaml(path: Path) -> Any:
    """The content of a YAML file of plain values. Raises `BeyondcamError`."""
    import yaml

    with decoding(path, "YAML"):
        return yaml.safe_load(read_bytes(path, MAX_YAML_BYTES))


def read_xml(path: Path, most: int = MAX_XML_BYTES) -> ET.Element:
    """The root element of an XML file without a document type. Raises `BeyondcamError`.

    Read as UTF-8 if it is that, else by the encoding that it declares: programs declare one and write
    another, and expat itself knows few.
    """
    with decoding(path, "XML"):
        content = read_bytes(path, most)
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = content.decode(_encoding(content))
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ValueError("it has a document type, which no annotation needs")
        return ET.fromstring(text)  # noqa: S314  (without a document type there are no entities to expand)


def _encoding(content: bytes) -> str:
    """The Python name of the encoding that an XML file declares, or that its byte order mark says."""
    if content.startswith(_UTF16):
        return "utf-16"
    declared = _DECLARED.match(content)
    if not declared:
        raise ValueError("it is not UTF-8 and declares no encoding")
    name = codecs.lookup(declared[1].decode()).name
    if name in _SLOW:
        raise ValueError(f"its encoding {name} is of host names")
    return _WIDER.get(name, name)
