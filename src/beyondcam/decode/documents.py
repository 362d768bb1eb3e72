"""Text, tables, JSON and XML that others wrote, in whatever encoding their programs use."""

import codecs
import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

from beyondcam.decode.door import decoding, read_bytes
from beyondcam.errors import BeyondcamError

MAX_TABLE_BYTES = 2**28
MAX_XML_BYTES = 2**24
MAX_YAML_BYTES = 2**20

_DECLARED = re.compile(rb"""<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["']""")
_SLOW = {"idna", "punycode"}
"""Encodings of host names, whose decoders take quadratic time."""

_WIDER = {"gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949"}
"""What programs write that declare the narrower encoding."""


def read_json(path: Path, what: str = "JSON") -> Any:
    """The content of a JSON file, with a byte order mark or without. Raises `BeyondcamError`."""
    with decoding(path, what):
        return json.loads(read_bytes(path))


def read_text(path: Path) -> str:
    """UTF-8 text, or UTF-16 with a byte order mark. Raises `BeyondcamError`."""
    with decoding(path, "a text file"):
        content = read_bytes(path, MAX_TABLE_BYTES)
    try:
        utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return content.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BeyondcamError(f"{path}: not UTF-8 text ({error}); save it as UTF-8") from error


def read_table(path: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    """The separator and the rows of a CSV file, each with the number of its line.

    Cells are separated by what separates those of the first line: a comma, a semicolon or a tab. Empty rows
    are left out, as are empty cells at the end of a row, past those of the first. Raises `BeyondcamError`.
    """
    text = read_text(path)
    separator = max(",;\t", key=text.lstrip().partition("\n")[0].count)
    with decoding(path, "CSV"):
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        rows = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    rows = [(line, row) for line, row in rows if any(row)]
    width = len(rows[0][1]) if rows else 0
    for _, row in rows:
        while len(row) > width and not row[-1]:
            row.pop()
    return separator, rows


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
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    declared = _DECLARED.match(content)
    if not declared:
        raise ValueError("it is not UTF-8 and declares no encoding")
    name = codecs.lookup(declared[1].decode()).name
    if name in _SLOW:
        raise ValueError(f"its encoding {name} is of host names")
    return _WIDER.get(name, name)
