"""Draw what `beyondcam study methods` found on several data sets, and copy it to docs/methods.md.

    beyondcam study methods --run runs/digits --images 48 --out studies/methods-digits
    python benchmarks/methods.py studies/methods-digits studies/methods-animals

One panel and one section a folder, named after it.
"""

import argparse
import json
from pathlib import Path

from matplotlib import rc_context
from matplotlib.figure import Figure

from beyondcam.studies import Dots, Table
from results import DOCS, shown, write_section

TABLES = 3
"""The first tables of a study that go to the page: methods under both rules, classes under the first."""


def main() -> None:
    """Draw the picture, and write a section for each study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", type=Path, nargs="+")
    folders = parser.parse_args().folders
    studies = {folder.name: json.loads((folder / "study.json").read_text()) for folder in folders}
    figure = Figure((4.4 * len(studies) + 2, 5.6), layout="constrained")
    panels = figure.subplots(1, len(studies), sharey=True, squeeze=False)[0]
    for axes, (name, study) in zip(panels, studies.items(), strict=True):
        dots = Dots(**study["plots"][0])
        dots.draw(axes)
        axes.set_title(f"{name.removeprefix('methods-')}, {study['facts']['images']} images")
        axes.set_xlabel(dots.x)
        axes.set_xlim(0)
        axes.grid(axis="x", color="#e4e4e4", linewidth=0.7)
        axes.spines[["top", "right"]].set_visible(False)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, loc="outside lower center", ncols=len(labels))
    with rc_context({"svg.hashsalt": "beyondcam", "svg.fonttype": "none"}):
        figure.savefig(DOCS / "methods.svg", metadata={"Date": None})
    for name, study in studies.items():
        facts = study["facts"]
        passes, megapixels, quality = (facts[key] for key in ("passes", "megapixels", "classifier"))
        tables = [Table(**table).markdown() for table in study["tables"][:TABLES]]
        cost = f"{passes} passes, {megapixels} megapixels. Classifier: {quality}."
        title = f"{name.removeprefix('methods-')}, {facts['images']} images of `val`"
        body = "\n\n".join((study["statement"], cost, *tables))
        write_section(name, title, shown(facts["command"]), body, "methods")


if __name__ == "__main__":
    main()
