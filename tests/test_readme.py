"""The README's code runs as it stands."""

import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

README = Path(__file__).parent.parent / "README.md"


def test_the_library_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).save(tmp_path / "photo.jpg")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    maps = names["maps"]
    assert maps.shape == (2, 60, 80)
    assert maps.max() > 0
    with Image.open(tmp_path / "maps.png") as picture:
        assert picture.size[0] > picture.size[1]


def test_every_link_to_a_file_of_the_project_leads_somewhere() -> None:
    for page in (README, *README.parent.glob("*.md"), *(README.parent / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
