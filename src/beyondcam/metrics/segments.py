"""Segmentation networks' scores on disk: RUN/segments.json, and the counts that networks are compared by."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from beyondcam.errors import BeyondcamError
from beyondcam.files import locked, read_json, write_json
from beyondcam.metrics.bootstrap import Estimate, estimate
from beyondcam.metrics.labels import LabelCounts, label_mious
from beyondcam.metrics.rows import SEGMENT, NetworkRow, read_records, write_records


def read_segments(run: Path) -> list[NetworkRow]:
    """The rows of a RUN's segmentation networks whose files still exist."""
    path = run / "segments.json"
    rows = read_records(path, NetworkRow, SEGMENT) if path.exists() else []
    return [row for row in rows if _counts_path(run, row).exists()]


def write_segment(run: Path, row: NetworkRow, scored: LabelCounts) -> None:
    """Write a row and its counts; an older row of the same network, data and split is replaced.

    Rows of seeds of another classifier are dropped, as scores are; networks trained on the truth depend on no
    classifier. A file that cannot be read is replaced.
    """
    write_json(_counts_path(run, row), {"ids": scored.ids, "counts": scored.counts.tolist()})
    with locked(run / "segment"):  # or another network's, written at the same time, would be lost
        rows = list[NetworkRow]()
        with suppress(BeyondcamError):
            rows = read_segments(run)
        others = [
            old
            for old in rows
            if (old.name, old.data, old.split) != (row.name, row.data, row.split)
            and (row.checkpoint is None or old.checkpoint in (None, row.checkpoint))
        ]
        write_records(run / "segments.json", [*others, row])


def counts_of(run: Path, row: NetworkRow) -> LabelCounts:
    """The counts that a row was computed from."""
    path = _counts_path(run, row)
    content = read_json(path, SEGMENT)
    try:
        ids, counts = tuple(content["ids"]), np.array(content["counts"], np.int64)
        if counts.ndim != 3 or counts.shape[:2] != (len(ids), 3) or counts.min(initial=0) < 0:
            raise ValueError("not three counts of each image and label")
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise BeyondcamError(f"{path}: holds no counts; delete it, and `{SEGMENT}` makes it anew") from error
    return LabelCounts(ids, counts)


def share_of_truth(run: Path, row: NetworkRow, rows: Sequence[NetworkRow]) -> Estimate | None:
    """MIoU as a share of that of a network trained on the truth by the same schedule, with its interval.

    None for networks trained on the truth, and where there are none, or none scored on the same images. Of
    several trained on the truth, with different seeds, the mean mIoU counts.
    """
    truths = [other for other in rows if other.trained_on == "truth" and _schedule(other) == _schedule(row)]
    if row.trained_on == "truth" or not truths:
        return None
    counts = [counts_of(run, one) for one in (row, *truths)]
    if not set.intersection(*(set(one.ids) for one in counts)):
        return None
    network, *others = label_mious(counts)
    return estimate(network / np.mean(others, 0))


def _schedule(row: NetworkRow) -> tuple[object, ...]:
    """What two networks must have in common for one to be the upper bound of the other."""
    config = {k: v for k, v in row.config.items() if k not in ("seed", "reviewed_weight")}
    return row.data, row.split, row.seeds_split, config


def _counts_path(run: Path, row: NetworkRow) -> Path:
    return run / "segment" / row.name / f"counts-{row.split}.json"
