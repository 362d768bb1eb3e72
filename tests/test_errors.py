"""Errors are one line for people."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel, ValidationError

import beyondcam as bc
from beyondcam.classifier import read_config
from beyondcam.errors import complaint, printable
from conftest import complaint as complaint_of
from networks import tiny


def test_a_line_feed_or_an_escape_is_shown_not_obeyed() -> None:
    assert printable("a\nb\x1b[2J é") == "a\\nb\\x1b[2J é"
    assert str(bc.BeyondcamError("too\nlong", parameter="size")) == "size: too\\nlong"


class Inner(BaseModel):
    count: int


class Outer(BaseModel):
    inner: Inner


def test_the_first_complaint_of_pydantic_names_the_field() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"inner": {"count": "many"}})
    assert complaint(caught.value).startswith("inner.count: Input should be a valid integer")
    assert complaint(KeyError("train")) == "'train'"
    assert complaint(ValueError("two\n lines")) == "two lines"


def test_settings_in_files_and_arguments_are_named_without_pydantics_heading(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"train": {"data": "digits", "lr": -1}, "classes": ["a"]}))
    message = complaint_of(lambda: read_config(tmp_path), "config.json: not a run's settings (lr: ")
    assert "validation" not in message
    path = tmp_path / "segment.json"
    path.write_text(json.dumps({"config": {"size": "wide"}, "classes": ["a"]}))
    message = complaint_of(lambda: bc.load_segmenter(tmp_path), "segment.json: ", "settings (size: ")
    assert "validation" not in message
    message = complaint_of(lambda: bc.map_batch(tiny(), torch.zeros(1, 3, 8, 8), method="captum"), "method: ")
    assert "validation" not in message
