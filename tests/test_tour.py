"""The notebook docs/tour.ipynb runs in less than a minute of one processor, and its scores make sense."""

import re

import nbformat
import pytest

import tour


@pytest.mark.filterwarnings("default")  # of the notebook's kernel
def test_the_tour_runs_and_its_best_recipe_beats_cam(monkeypatch: pytest.MonkeyPatch) -> None:
    timed = nbformat.read(tour.TOUR, as_version=4)
    timed.cells.append(nbformat.v4.new_code_cell("import time; print(time.process_time())"))
    monkeypatch.setattr(nbformat, "read", lambda *_, **__: timed)
    *cells, clock = [cell for cell in tour.run().cells if cell.cell_type == "code"]
    assert float(clock.outputs[0].text) < 60
    printed = "".join(
        output.text for cell in cells for output in cell.outputs if output.get("name") == "stdout"
    )
    miou = {words[:2]: float(words[2]) for words in re.findall(r"(\S+) +(\S+) +mIoU (\S+)", printed)}
    assert miou["best", "adaptive"] > miou["cam", "oracle"] > 0.1
    pictures = [o for cell in cells for o in cell.outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 3
