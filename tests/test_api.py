"""docs/api.md is current, and what it says of each public name is complete."""

import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

import api

PUBLIC = {name: value for _, name, value in api.public()}


def described(value: Any, *sections: str) -> set[str]:
    """The names that a docstring's sections describe."""
    names = set[str]()
    section = ""
    lines = (inspect.getdoc(value) or "").splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if below and not below.strip("-"):
            section = line
        elif section in sections and re.match(r"\w", line):
            names |= set(line.partition(" : ")[0].replace("*", "").split(", "))
    return names


RAISE_NOTHING = ("fingerprint",)


def undescribed(value: Any) -> Iterator[str]:
    """What a docstring should say and does not."""
    if inspect.isclass(value):
        known = described(value, "Parameters", "Attributes")
        if issubclass(value, BaseModel):
            for base in value.__mro__:
                known |= described(base, "Parameters", "Attributes")
            given = {name for name, field in value.model_fields.items() if not field.description} - {"kind"}
        else:
            given = set(inspect.signature(value).parameters)
        yield from sorted(given - known)
        return
    made = inspect.signature(value)
    known = described(value, "Parameters")
    yield from sorted(set(made.parameters) ^ known)
    doc = inspect.getdoc(value) or ""
    if made.return_annotation is not None and "\nReturns\n---" not in doc:
        yield "Returns"
    if "\nRaises\n---" not in doc and value.__name__ not in RAISE_NOTHING:
        yield "Raises"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_path_may_be_a_string_or_anything_like_a_path(name: str) -> None:
    if name.startswith("bc.studies."):  # what a study is given
        return
    value = PUBLIC[name]
    made = (
        {} if inspect.isclass(value) and issubclass(value, BaseModel) else inspect.signature(value).parameters
    )
    annotations = [str(parameter.annotation) for parameter in made.values()]
    paths = [a for a in annotations if re.search(r"pathlib\.(_local\.)?Path\b", a)]  # 3.13 has the former
    assert not [a for a in paths if "Callable" not in a]


def test_the_reference_is_current() -> None:
    assert api.PAGE.read_text(encoding="utf-8") == api.reference(), "run python docs/api.py"


@pytest.mark.parametrize("name", PUBLIC)
def test_a_public_name_has_its_parameters_results_and_errors(name: str) -> None:
    assert not [*undescribed(PUBLIC[name])]
