"""The library example of the README, which the pages repeat, runs as it stands; its commands exist."""

import re
from pathlib import Path

import numpy as np
import pytest
import typer.main
from PIL import Image

from beyondcam.cli import app

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted(ROOT.glob("docs/**/*.md")))

EXAMPLES = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_library_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (short,) = EXAMPLES.findall(README.read_text())
    code = EXAMPLES.findall((ROOT / "docs/networks.md").read_text())[0]
    assert code.startswith(short)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    maps = names["maps"]
    assert maps.shape == (2, 60, 80)
    assert maps.max() > 0
    assert names["mask"].shape == (60, 80)
    assert {0, 1, 2} >= {*names["mask"].ravel()} > {0}
    with Image.open(tmp_path / "maps.png") as picture:
        assert picture.size[0] > picture.size[1]


def test_the_readme_is_short_and_has_its_picture_first() -> None:
    lines = README.read_text().splitlines()
    assert len(lines) <= 150
    assert lines.index(next(line for line in lines if line.startswith("!["))) < 6


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_and_option_on_a_page_exists(page: Path) -> None:
    text = page.read_text().replace("\\\n", " ")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    for name, words in re.findall(r"\bbeyondcam ([a-z-]+)([^#\n]*)", "\n".join(blocks)):
        made = typer.main.get_command(app.make_app([name]))
        known = {option for parameter in made.commands[name].params for option in parameter.opts}
        assert not set(re.findall(r"(?<!\S)--[a-z-]+", words)) - known - {"--help"}, (
            f"beyondcam {name}{words}"
        )
