"""Text, tables, JSON and XML as programs write them."""

import json
import time
from pathlib import Path

import pytest

from beyondcam.decode import read_json, read_table, read_text, read_xml
from conftest import complaint


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_text_and_json_are_read_with_a_byte_order_mark_and_without(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a").write_bytes('{"größe": "猫"}'.encode(encoding))
    assert read_json(tmp_path / "a") == {"größe": "猫"}
    assert json.loads(read_text(tmp_path / "a")) == {"größe": "猫"}


@pytest.mark.parametrize("content", [b"[1,", b"\xff\xfe[", b"[" * 100_000, b"1" * 10_000, b""])
def test_broken_json_is_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.json").write_bytes(content)
    complaint(lambda: read_json(tmp_path / "a.json"), "a.json", "JSON")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n", [(1, ["a", "b"]), (2, ["1", "2"])]),
        ("a;b\r\n1;2,3\r\n", [(1, ["a", "b"]), (2, ["1", "2,3"])]),
        ("a,b\r1,2;3;4;5\r", [(1, ["a", "b"]), (2, ["1", "2;3;4;5"])]),
        ("a\tb\n1\t2\n", [(1, ["a", "b"]), (2, ["1", "2"])]),
        ('a,b\n,\n\n"1, 1", 2 ,,\n', [(1, ["a", "b"]), (4, ["1, 1", "2"])]),
        ("a,b\n1,\n", [(1, ["a", "b"]), (2, ["1", ""])]),
        ("a\nb\n", [(1, ["a"]), (2, ["b"])]),
        ("", []),
    ],
    ids=["comma", "semicolon", "carriage-return", "tab", "blank", "empty-cell", "one-column", "empty"],
)
def test_table_is_read_by_the_separator_of_its_first_line(
    tmp_path: Path, text: str, rows: list[tuple[int, list[str]]]
) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert read_table(tmp_path / "a.csv") == (rows, "utf-8")


@pytest.mark.parametrize(
    ("declared", "written"),
    [
        ("gb2312", "gb2312"), ("GB2312", "utf-8"), ("gbk", "gb18030"), ("big5", "big5"),
        ("Shift_JIS", "cp932"),
        ("ISO-8859-1", "latin-1"), ("windows-1252", "cp1252"), ("UTF-8", "utf-8-sig"), ("utf-16", "utf-16"),
        ("no-such-encoding", "utf-8"), ("unicode", "utf-8"),
    ],
)  # fmt: skip
def test_xml_is_read_in_the_encoding_it_has_or_else_declares(
    tmp_path: Path, declared: str, written: str
) -> None:
    word = "größe" if written in ("latin-1", "cp1252") else "中"
    text = f'<?xml version="1.0" encoding="{declared}"?><a><b>{word}</b></a>'
    (tmp_path / "a.xml").write_bytes(text.encode(written))
    assert read_xml(tmp_path / "a.xml").findtext("b") == word


@pytest.mark.parametrize("encoding", ["rot13", "base64", "idna", "punycode", "undefined", "none"])
def test_xml_in_an_encoding_of_no_text_is_one_line(tmp_path: Path, encoding: str) -> None:
    """The decoder of host names takes quadratic time: minutes for this."""
    content = f'<?xml version="1.0" encoding="{encoding}"?><a>'.encode() + b"\xe9" * 10**6 + b"</a>"
    (tmp_path / "a.xml").write_bytes(content)
    started = time.monotonic()
    complaint(lambda: read_xml(tmp_path / "a.xml"), "a.xml", "XML")
    assert time.monotonic() - started < 5


def test_xml_has_no_entities_to_expand(tmp_path: Path) -> None:
    bomb = "<!DOCTYPE a [<!ENTITY b 'bbbbbbbbbb'><!ENTITY c '&b;&b;'>]><a>&c;</a>"
    for encoding in ("utf-8", "utf-16"):
        (tmp_path / "a.xml").write_bytes(bomb.encode(encoding))
        complaint(lambda: read_xml(tmp_path / "a.xml"), "a.xml", "document type")
