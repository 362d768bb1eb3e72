"""Scores on disk: RUN/scores.json, RUN/comparisons.json and RUN/curves.json."""

from pathlib import Path
from typing import Any

from beyondcam.data import LabelledImages
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Shelf, checkpoint_hash
from beyondcam.files import read_json, write_json
from beyondcam.metrics.score import FAMILY, Scores

_SAME = ("recipe_hash", "checkpoint", *FAMILY)


def write_scores(run: Path, images: LabelledImages, scores: Scores) -> None:
    """Write the scores of a split; those of other splits stay, if the checkpoint is still the same."""
    checkpoint = checkpoint_hash(run)
    for name, rows in (
        ("scores", scores.rows),
        ("comparisons", scores.comparisons),
        ("curves", list(scores.curves.values())),
    ):
        path = run / f"{name}.json"
        old = read_json(path, "beyondcam score") if path.exists() else []
        kept = [
            row
            for row in old
            if (row["data"], row["split"]) != (images.data, images.split) and row["checkpoint"] == checkpoint
        ]
        write_json(path, kept + rows)


def threshold_of(run: Path, shelf: Shelf, images: LabelledImages, text: str) -> float:
    """A threshold given as a value in [0, 1], or by the name of a rule that `score` has answered."""
    try:
        value = float(text)
    except ValueError:
        return _by_rule(run, shelf, images, text)
    if not 0 <= value <= 1:
        raise BeyondcamError(f"--threshold {text}: a value lies between 0 and 1")
    return value


def _by_rule(run: Path, shelf: Shelf, images: LabelledImages, rule: str) -> float:
    if rule not in ("train", "oracle"):
        raise BeyondcamError(f"--threshold {rule}: write a value between 0 and 1, train or oracle")
    rows: list[dict[str, Any]] = read_json(run / "scores.json", "beyondcam score")
    for row in rows:
        own = (row["recipe"], row["data"], row["threshold_rule"], *(row.get(key) for key in _SAME))
        asked = (shelf.name, images.data, rule, *(shelf.manifest[key] for key in _SAME))
        if own == asked and (rule == "train" or row["split"] == images.split):
            return float(row["threshold"])
    raise BeyondcamError(
        f"--threshold {rule}: {run / 'scores.json'} has no such row for {shelf.name}; "
        "`beyondcam score` makes it where there are masks, otherwise give a value"
    )
