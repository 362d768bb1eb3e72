"""What is said about the package where it is installed: its version, its extras, what it brings."""

import re
import tomllib
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest

import beyondcam
import dependencies
from beyondcam.cli import app

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_version_stands_in_one_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "beyondcam.__version__"}
    assert f"\nversion: {beyondcam.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## {beyondcam.__version__}" in (ROOT / "CHANGELOG.md").read_text()
    app.make_app(["--version"])(["--version"], standalone_mode=False)
    assert capsys.readouterr().out == f"{beyondcam.__version__}\n"


def test_every_extra_is_explained_and_has_known_versions() -> None:
    page = (ROOT / "docs/installing.md").read_text()
    extras = PROJECT["project"]["optional-dependencies"]
    assert set(
        re.findall(r"^\| `(\w+)` \| ", page.partition("## Extras")[2].partition("##")[0], re.M)
    ) == set(extras)
    pinned = set(re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text().lower(), re.MULTILINE))
    names = {re.match(r"[\w.-]+", needed)[0].lower() for needed in extras["docs"] + extras["test"]}
    assert names - {"beyondcam"} <= pinned


def test_what_only_one_dependency_brings_is_what_is_not_needed_without_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs = {
        "app": ["left>=1", "right", "extra; extra == 'more'"], "left": ["own", "Shared_Part"], "own": None,
        "right": ["shared-part"], "shared-part": ["elsewhere; sys_platform == 'none'"],
    }  # fmt: skip

    def distribution(name: str) -> SimpleNamespace:
        if name not in needs:
            raise PackageNotFoundError(name)
        return SimpleNamespace(requires=needs[name])

    monkeypatch.setattr(dependencies, "distribution", distribution)
    assert dependencies.closure("app") == set(needs)
    assert dependencies.closure("app") - dependencies.closure("app", without="left") == {"left", "own"}


def test_whether_code_loads_a_module_is_seen_even_if_it_exits() -> None:
    assert dependencies.loads("import json.decoder; sys.exit()", "json.decoder")
    assert not dependencies.loads("sys.exit()", "wsgiref.util")
