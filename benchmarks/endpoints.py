"""The primary endpoint of each data set, as docs/endpoints.md fixes it.

    python benchmarks/endpoints.py animals=runs/animals digits=runs/digits tiles=runs/tiles

Each RUN must have a classifier. Maps what is missing, scores `best` and multi-scale CAM, refined as `best`
is, at the threshold rule `adaptive` on the images of `val` that have a class, and writes the section
`endpoints` of docs/endpoints.md.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from beyondcam import score_split
from beyondcam.classifier import read_config
from beyondcam.data import evenly
from beyondcam.evidence import find_shelf
from beyondcam.metrics.text import cell, signed
from inputs import open_scored
from results import table, write_section
from segment import map_missing

BEST, CONTROL = "best", "cam-ms+walk+affinity+closer"
RULE = "adaptive"
MOST = {"digits": 200}
"""Images of the data sets that are made as they are asked for."""


def main() -> None:
    """Score every RUN, and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("runs", nargs="+", metavar="NAME=RUN", help="of each data set")
    rows = [
        (name, *endpoint(name, Path(run)))
        for name, _, run in (r.partition("=") for r in parser.parse_args().runs)
    ]
    head = ("data", "images", f"`{BEST}`", f"`{CONTROL}`", "difference", "p")
    body = (
        f"mIoU at the rule `{RULE}`, background included. The difference is paired over images, with its "
        f"95 % interval; p is two-sided, and 0.002 at least.\n\n{table(*rows, head=head)}"
    )
    write_section(
        "endpoints",
        "What came out",
        f"python benchmarks/endpoints.py {' '.join(sys.argv[1:])}",
        body,
        page="endpoints",
    )


def endpoint(name: str, run: Path) -> tuple[object, ...]:
    """Images, both scores, their difference and its p value."""
    config, classes = read_config(run)
    images, masks = open_scored(config.data, "val", classes)
    with_class = [i for i in images.ids if images.labels.get(i)]
    images = replace(images, ids=evenly(with_class, MOST.get(name, len(with_class))))
    map_missing(run, images, {BEST, CONTROL})
    scores = score_split(run, images, masks, among=[find_shelf(run, images, r) for r in (BEST, CONTROL)])
    best, control = (scores.row(recipe, RULE) for recipe in (BEST, CONTROL))
    (pair,) = (c for c in scores.comparisons if c.threshold_rule == RULE)
    p = pair.p["miou"]
    return (
        best.images,
        cell(best),
        cell(control),
        signed(scores.difference(BEST, CONTROL, rule=RULE)),
        f"{p:.3f}",
    )


if __name__ == "__main__":
    main()
