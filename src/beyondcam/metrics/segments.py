"""Segmentation networks' scores on disk: RUN/segments.json, and the counts that rows are compared by."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beyondcam.files import read_json, write_json
from beyondcam.metrics.bootstrap import estimate
from beyondcam.metrics.labels import LabelCounts, label_mious

MADE_BY = "beyondcam segment"

Values = dict[str, Any]


def read_segments(run: Path) -> list[Values]:
    """The rows of those of a RUN's segmentation networks that are still there."""
    path = run / "segments.json"
    rows = read_json(path, MADE_BY) if path.exists() else []
    return [row for row in rows if _counts_path(run, row).exists()]


def write_segment(run: Path, row: Values, scored: LabelCounts) -> None:
    """Write a row and its counts, in the place of an older one of the same network, data and split.

    Rows of seeds of another classifier go too, as scores do; the truth's are of none.
    """
    key, of = ("name", "data", "split"), row.get("checkpoint")
    others = [
        old
        for old in read_segments(run)
        if any(old[k] != row[k] for k in key) and (of is None or old.get("checkpoint") in (None, of))
    ]
    write_json(_counts_path(run, row), {"ids": scored.ids, "counts": scored.counts.tolist()})
    write_json(run / "segments.json", [*others, row])


def counts_of(run: Path, row: Values) -> LabelCounts:
    """The counts behind a row."""
    content = read_json(_counts_path(run, row), MADE_BY)
    return LabelCounts(tuple(content["ids"]), np.array(content["counts"], np.int64))


def share_of_truth(
    run: Path, row: Values, rows: Sequence[Values]
) -> tuple[float, tuple[float, float] | None] | None:
    """How much of the mIoU of a network trained on the truth by the same schedule a row reaches.

    With its paired interval; None for the truth's own rows, or where there are none. Of several seeds the
    truth's mean counts.
    """
    truths = [
        other for other in rows if other["trained_on"] == "truth" and _schedule(other) == _schedule(row)
    ]
    if row["trained_on"] == "truth" or not truths:
        return None
    own, *others = label_mious([counts_of(run, one) for one in (row, *truths)])
    return estimate(own / np.mean(others, 0))


def _schedule(row: Values) -> Values:
    """What rows must have in common for the truth's to be the upper bound of the other."""
    config = {k: v for k, v in row["config"].items() if k != "seed"}
    return {"data": row["data"], "split": row["split"], "seeds_split": row["seeds_split"], **config}


def _counts_path(run: Path, row: Values) -> Path:
    return run / "segment" / row["name"] / f"counts-{row['split']}.json"
