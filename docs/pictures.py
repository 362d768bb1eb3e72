"""Draw the pictures of the documentation into docs/pictures: `python docs/pictures.py`, a minute or two.

With `--blank` an empty picture stands for each that is missing, which is enough to check the pages' links.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from PIL import Image

from drawings import DRAWINGS
from gallery import STRIPS
from plots import PLOTS

OUT = Path(__file__).with_name("pictures")

PICTURES: dict[str, Callable[[], Figure | Image.Image]] = {**PLOTS, **DRAWINGS, **STRIPS}


def main() -> None:
    """Draw all of them, or stand-ins for those that are not there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--blank", action="store_true")
    blank = parser.parse_args().blank
    OUT.mkdir(exist_ok=True)
    mpl.rcParams.update({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False,
                         "svg.hashsalt": "beyondcam"})  # fmt: skip
    for name, draw in PICTURES.items():
        path = OUT / name
        if blank:
            path.touch()
            continue
        picture = draw()
        if isinstance(picture, Figure):
            picture.savefig(path, dpi=150)
        else:
            picture.save(path, quality=82)


if __name__ == "__main__":
    main()
