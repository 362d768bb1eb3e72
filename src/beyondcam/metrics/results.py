"""Scores on disk: RUN/scores.json, RUN/comparisons.json and RUN/curves.json."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from beyondcam.data import VOID, LabelledImages, Masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Shelf, blind_level, checkpoint_hash, level_threshold, winners_of
from beyondcam.files import ahead, read_json, write_json
from beyondcam.metrics.score import FAMILY, Scores
from beyondcam.metrics.tally import ImageTally, Sweep

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


def threshold_of(
    run: Path, shelf: Shelf, images: LabelledImages, text: str, masks: Masks | None = None
) -> float:
    """A threshold on the evidence of a shelf, as `--threshold` gives it.

    A value in [0, 1]; `blind`, from the evidence of all `images`; `few:ID,ID`, the best on the `masks` of
    these images; or `few`, `train` or `oracle` as `score` has answered them.
    """
    rule, _, named = text.partition(":")
    classes = len(images.classes)
    if text == "blind":
        return level_threshold(blind_level(Sweep.of(tallies_of(shelf, images.ids, None), classes).levels))
    if rule == "few" and named:
        ids = [name.strip() for name in named.split(",")]
        if masks is None:
            raise BeyondcamError(f"--threshold {text}: no masks to choose τ by here; take blind or a value")
        if unknown := set(ids) - set(images.ids):
            raise BeyondcamError(f"--threshold {text}: {images.split} has no image {min(unknown)}")
        if missing := [i for i in ids if not shelf.path(i).exists()]:
            raise BeyondcamError(f"--threshold {text}: {missing[0]} is not mapped; `beyondcam map` does it")
        return level_threshold(Sweep.of(tallies_of(shelf, ids, masks), classes).best_level())
    try:
        value = float(text)
    except ValueError:
        return _by_rule(run, shelf, images, text)
    if not 0 <= value <= 1:
        raise BeyondcamError(f"--threshold {text}: a value lies between 0 and 1")
    return value


def tallies_of(shelf: Shelf, ids: Sequence[str], masks: Masks | None) -> Iterator[ImageTally]:
    """The counts of those of the images that are mapped; without masks all of their pixels are void."""

    def tally(image_id: str) -> ImageTally:
        evidence = shelf.read(image_id)
        size = evidence.size
        truth = masks.truth(image_id, size) if masks else np.full(size, VOID, np.uint8)
        return ImageTally.of(winners_of(evidence), truth)

    mapped = [i for i in ids if shelf.path(i).exists()]
    if not mapped:
        raise BeyondcamError(f"{shelf.folder}: no image is mapped yet; `beyondcam map` does it")
    yield from ahead(tally, mapped)


def _by_rule(run: Path, shelf: Shelf, images: LabelledImages, rule: str) -> float:
    if rule not in ("few", "train", "oracle"):
        raise BeyondcamError(
            f"--threshold {rule}: write a value between 0 and 1, blind, few:ID,ID, few, train or oracle"
        )
    rows: list[dict[str, Any]] = read_json(run / "scores.json", "beyondcam score")
    for row in rows:
        own = (row["recipe"], row["data"], row["threshold_rule"], *(row.get(key) for key in _SAME))
        asked = (shelf.name, images.data, rule, *(shelf.manifest[key] for key in _SAME))
        if own == asked and (rule != "oracle" or row["split"] == images.split):
            return float(row["threshold"])
    raise BeyondcamError(
        f"--threshold {rule}: {run / 'scores.json'} has no such row for {shelf.name}; "
        "`beyondcam score` makes it where there are masks, otherwise take blind"
    )
