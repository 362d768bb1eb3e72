"""Copy what `beyondcam study methods` found on several data sets to docs/methods.md.

    beyondcam study methods --run runs/digits --images 48 --out studies/methods-digits
    python benchmarks/methods.py studies/methods-digits studies/methods-animals

One section a folder, named after it.
"""

import argparse
import json
from pathlib import Path

from beyondcam.studies import Table
from results import shown, write_section

TABLES = 3
"""The first tables of a study that go to the page: methods under both rules, classes under the first."""


def main() -> None:
    """Write a section for each study."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folders", type=Path, nargs="+")
    for folder in parser.parse_args().folders:
        study = json.loads((folder / "study.json").read_text())
        facts = study["facts"]
        passes, megapixels, quality = (facts[key] for key in ("passes", "megapixels", "classifier"))
        tables = [Table(**table).markdown() for table in study["tables"][:TABLES]]
        cost = f"{passes} passes, {megapixels} megapixels. Classifier: {quality}."
        title = f"{folder.name.removeprefix('methods-')}, {facts['images']} images of `val`"
        body = "\n\n".join((study["statement"], cost, *tables))
        write_section(folder.name, title, shown(facts["command"]), body, "methods")


if __name__ == "__main__":
    main()
