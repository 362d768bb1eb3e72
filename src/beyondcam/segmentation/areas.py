"""`predictions.csv`: how much of each photo a class takes, and how sure the network is of it."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from beyondcam.decode import read_text
from beyondcam.files import append_line, csv_of, write_csv
from beyondcam.segmentation.network import Prediction

HEADER = ("image", "class", "area", "confidence")

Area = tuple[str, str, str]
"""A label's name, its share of the photo, and the mean probability of its pixels, as they are written."""


def areas_of(found: Prediction, classes: Sequence[str]) -> list[Area]:
    """What is said of each label that a photo shows; of the background in any case."""
    labels, probability = found.labels.numpy(), found.probability.numpy()
    areas = []
    for k in sorted({0, *np.unique(labels).tolist()}):
        own = probability[labels == k]
        sure = f"{own.mean(dtype=np.float64):.4f}" if own.size else ""
        areas.append((("background", *classes)[k], f"{own.size / labels.size:.6f}", sure))
    return areas


def write_areas(path: Path, areas: Mapping[str, Sequence[Area]]) -> None:
    """Write the areas by the photo's name as a table."""
    write_csv(path, [HEADER, *((name, *area) for name, own in areas.items() for area in own)])


def append_areas(path: Path, name: str, areas: Sequence[Area]) -> None:
    """Add those of one photo to the table."""
    append_line(path, csv_of([(name, *area) for area in areas]).rstrip("\n"))


def read_areas(path: Path) -> dict[str, list[Area]]:
    """The areas in a table by the photo's name, but for a line that a killed process left unfinished.

    Empty where there is no table. Raises `BeyondcamError`.
    """
    areas: dict[str, list[Area]] = {}
    for cells in list(csv.reader(read_text(path).splitlines()))[1:] if path.exists() else ():
        if len(cells) == len(HEADER):
            areas.setdefault(cells[0], []).append((cells[1], cells[2], cells[3]))
    return areas
