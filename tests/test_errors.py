"""Errors are one line for people."""

import json
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel, ValidationError

import beyondcam as bc
from beyondcam.classifier import read_config
from beyondcam.errors import one_line, printable
from conftest import complaint
from networks import tiny


def test_a_line_feed_or_an_escape_is_shown_not_obeyed() -> None:
    assert printable("a\nb\x1b[2J é") == "a\\nb\\x1b[2J é"
    assert str(bc.BeyondcamError("too\nlong", parameter="size")) == "size: too\\nlong"


class Inner(BaseModel):
    count: int


class Outer(BaseModel):
    inner: Inner


def test_the_first_complaint_pydantic_names_the_field() -> None:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate({"inner": {"count": "many"}})
    assert one_line(caught.value).startswith("inner.count: Input should be a valid integer")
    assert one_line(KeyError("train")) == "'train'"
    assert one_line(ValueError("two\n lines")) == "two lines"


def test_settings_in_files_and_arguments_are_named_without_pydantics_heading(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"train": {"data": "digits", "lr": -1}, "classes": ["a"]}))
    message = complaint(lambda: read_config(tmp_path), "config.json: not a run's settings (lr: ")
    assert "validation" not in message
    path = tmp_path / "segment.json"
    path.write_text(json.dumps({"config": {"size": "wide"}, "classes": ["a"]}))
    message = complaint(lambda: bc.load_segmenter(tmp_path), "segment.json: ", "settings (size: ")
    assert "validation" not in message
    message = complaint(lambda: bc.map_batch(tiny(), torch.zeros(1, 3, 8, 8), [0], "captum"), "map.method: ")
    assert "validation" not in message


def test_settings_of_a_run_are_named_by_their_file_where_a_network_cannot_be_built(tmp_path: Path) -> None:
    config = {"data": "digits", "backbone": "resnet1", "size": 64}
    (tmp_path / "config.json").write_text(json.dumps({"train": config, "classes": ["a"]}))
    (tmp_path / "classifier.safetensors").write_bytes(b"")
    path = str(tmp_path / "config.json")
    assert complaint(lambda: bc.load_classifier(tmp_path), "resnet18").startswith(f"{path}: backbone: ")
