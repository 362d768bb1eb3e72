"""The examples of docs/adding.md run, and give what they say."""

import doctest
import re
from pathlib import Path

import pytest

from beyondcam.data import SOURCES
from beyondcam.data.masks import MASKS
from beyondcam.maps import MAPS
from beyondcam.metrics import METRICS
from beyondcam.recipes import Cookbook
from beyondcam.refinements import REFINEMENTS

PAGE = Path(__file__).parent.parent / "docs" / "adding.md"


def test_the_examples_run_and_give_what_they_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for registry in (MAPS, REFINEMENTS, SOURCES, MASKS):
        monkeypatch.setattr(registry, "kinds", dict(registry.kinds))
    monkeypatch.setitem(METRICS, "size", None)  # what the page adds is gone after the test
    names: dict[str, object] = {"__name__": "adding"}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    told: list[str] = []
    for code in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        if code.startswith(">>>"):
            test = doctest.DocTestParser().get_doctest(code, names, PAGE.name, str(PAGE), 0)
            runner.run(test, out=told.append, clear_globs=False)
            names |= test.globs
        else:
            exec(code, names)
    assert not runner.failures, "".join(told)
    tables = re.findall(r"```toml\n(# mine.toml.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "mine.toml").write_text(*tables)
    assert Cookbook(tmp_path / "mine.toml").recipe("crops+smooth+narrow").refine[1].gamma == 1.5
    assert runner.tries > 10
