"""Run docs/tour.ipynb and keep its results in it, pictures as small JPEGs: `python docs/tour.py`."""

import base64
import io
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

TOUR = Path(__file__).with_suffix(".ipynb")
WIDTH = 700


def run() -> nbformat.NotebookNode:
    """Run the notebook as it stands; an error in it is raised."""
    notebook = nbformat.read(TOUR, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(TOUR.parent)}}).execute()
    return notebook


def main() -> None:
    """Run it, and keep what it shows."""
    notebook = run()
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        cell.metadata.clear()
        if cell.cell_type != "code":
            continue
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if encoded := output.get("data", {}).pop("image/png", None):
                output.data["image/jpeg"] = smaller(encoded)
    nbformat.write(notebook, TOUR)


def smaller(encoded: str) -> str:
    """A PNG as a JPEG of at most `WIDTH` pixels, both in base 64."""
    picture = Image.open(io.BytesIO(base64.b64decode(encoded))).convert("RGB")
    picture.thumbnail((WIDTH, WIDTH))
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=80)
    return base64.b64encode(out.getvalue()).decode()


if __name__ == "__main__":
    main()
