"""Results of a RUN as typed rows, and the JSON files that hold them.

`scores.json` holds a `Row` for each recipe and threshold rule, `comparisons.json` a `Comparison` for each
pair of recipes, `curves.json` a `Curve` for each recipe, `segments.json` a `NetworkRow` for each network.
"""

import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator, model_validator

from beyondcam.data import LabelledImages
from beyondcam.errors import BeyondcamError, first_complaint
from beyondcam.evidence import checkpoint_hash
from beyondcam.files import read_json, write_json
from beyondcam.metrics.bootstrap import Interval

Absent = Literal["auto", "drop", "zero"]

SCORE, SEGMENT = "beyondcam score", "beyondcam segment"
"""The commands that write the files."""


class Record(BaseModel):
    """An entry of a result file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """The entry as it is written; a column that an older file lacks is not added to it."""
        return self.model_dump(mode="json", exclude_unset=True)


class Origin(Record):
    """The evidence and the images that a result was computed from."""

    checkpoint: str
    data: str
    split: str
    seed: int
    targets: str
    precision: str


class CostPerImage(BaseModel):
    """Mean cost of an image's maps: passes, megapixels they went over, seconds of work."""

    model_config = ConfigDict(frozen=True)

    forward: float
    backward: float
    megapixels: float
    seconds: float


class ChosenOn(BaseModel):
    """The split whose masks chose a threshold, and the images of it, where these were few."""

    model_config = ConfigDict(frozen=True)

    split: str
    images: tuple[str, ...] | None = None


class Row(Origin):
    """One recipe, scored under one threshold rule.

    Attributes
    ----------
    threshold, reference_threshold : τ of the recipe, and of the reference CAM under the same rule.
    metrics : value by name of metric; in the file they stand beside the other keys.
    iou : by name of class, background first; None for a class that is neither in the truth nor predicted.
    ci : 95 % interval by name of metric.
    cost : of an image; None where none was recorded.
    chosen_on : for rules that take τ from another split.
    images : how many were scored.
    absent : how a class that the truth lacks is counted.
    uncovered : mean share of the pixels that no view covered.

    """

    recipe: str
    recipe_hash: str
    threshold_rule: str
    threshold: float
    metrics: dict[str, float | None]
    iou: dict[str, float | None]
    ci: dict[str, Interval | None]
    cost: CostPerImage | None
    reference_threshold: float | None
    chosen_on: ChosenOn | None
    images: int
    absent: Absent
    uncovered: float

    @model_validator(mode="before")
    @classmethod
    def _gather_metrics(cls, content: Any) -> Any:
        """Every key of the file that is no field is a metric."""
        if not isinstance(content, dict) or "metrics" in content:
            return content
        fields = {key: content[key] for key in content if key in cls.model_fields}
        return fields | {"metrics": {key: content[key] for key in content if key not in fields}}

    @field_validator("metrics")
    @classmethod
    def _has_miou(cls, metrics: dict[str, float | None]) -> dict[str, float | None]:
        if metrics.get("miou") is None:
            raise ValueError("miou: missing")
        return metrics

    @property
    def miou(self) -> float:
        """The metric that rows are ranked by."""
        value = self.metrics["miou"]
        assert value is not None
        return value

    def to_json(self) -> dict[str, Any]:
        """The entry as it is written, with the metrics beside the other keys."""
        written: dict[str, Any] = {}
        for key, value in super().to_json().items():
            written |= value if key == "metrics" else {key: value}
        return written


class Comparison(Origin):
    """The paired difference of two recipes under one rule: metrics of `b` less those of `a`."""

    a: str
    b: str
    a_hash: str
    b_hash: str
    threshold_rule: str
    difference: dict[str, float | None]
    ci: dict[str, Interval | None]

    def turned(self) -> "Comparison":
        """The same comparison with `a` and `b` exchanged."""
        return self.model_copy(
            update={
                "a": self.b,
                "b": self.a,
                "a_hash": self.b_hash,
                "b_hash": self.a_hash,
                "difference": {m: None if d is None else -d for m, d in self.difference.items()},
                "ci": {m: None if i is None else (-i[1], -i[0]) for m, i in self.ci.items()},
            }
        )


class Curve(Origin):
    """What the report draws of a recipe.

    Attributes
    ----------
    threshold, miou : at each level of the evidence.
    levels, reference_levels : rule → level of the recipe's τ, and of the reference's.
    dr_recall, ndr_recall : at the recipe's oracle τ, by level of the reference's τ; None without a reference.

    """

    recipe: str
    recipe_hash: str
    classes: tuple[str, ...]
    threshold: list[float]
    miou: list[float]
    levels: dict[str, int]
    reference_levels: dict[str, int] | None = None
    dr_recall: list[float | None] | None = None
    ndr_recall: list[float | None] | None = None


class TrainedOn(Record):
    """The labels that a segmentation network was trained on; the truth comes from no recipe.

    Attributes
    ----------
    mapped : how many images had evidence.
    threshold_rule, threshold : of the seeds.
    void : how close to √τ a pixel's √v was left void.

    """

    trained_on: Literal["seeds", "truth"]
    seeds_split: str
    recipe: str | None
    recipe_hash: str | None
    checkpoint: str | None = None
    targets: str | None = None
    mapped: int | None
    threshold_rule: str | None
    threshold: float | None
    void: float | None


class NetworkRow(TrainedOn):
    """A segmentation network and its score.

    Attributes
    ----------
    name : of its folder in RUN/segment.
    round : 1 for a network of seeds or the truth, n for one of the predictions of round n - 1.
    config : settings of the training.
    data, split : that it was scored on.

    """

    name: str
    round: int
    training_seed: int
    architecture: str
    encoder: str
    config: dict[str, Any]
    data: str
    split: str
    miou: float
    iou: dict[str, float | None]
    ci: dict[str, Interval | None]
    images: int

    def to_json(self) -> dict[str, Any]:
        """The entry as it is written, the name first."""
        return {"name": self.name} | super().to_json()


R = TypeVar("R", bound=Record)


def read_records(path: Path, kind: type[R], made_by: str) -> list[R]:
    """The entries of a result file. Raises `BeyondcamError` that names the command that makes it."""
    content = read_json(path, made_by)
    try:
        return TypeAdapter(list[kind]).validate_python(content)  # type: ignore[valid-type]
    except ValidationError as error:
        where, what = first_complaint(error)
        place = f"entry {', '.join(where)}: " if where else ""
        raise BeyondcamError(f"{path}: {place}{what}; `{made_by}` makes it anew") from None


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write a result file."""
    write_json(path, [record.to_json() for record in records])


@dataclass(frozen=True)
class Scores:
    """What `score_split` returns.

    Attributes
    ----------
    rows : one for each recipe and threshold rule.
    comparisons : one for each pair of recipes and rule.
    curves : by the name of the evidence's folder.
    left_out : images and recipes that could not be scored, with the reason.

    """

    rows: list[Row] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def row(self, recipe: str, rule: str = "oracle") -> Row:
        """The row of a recipe under a rule."""
        (row,) = (r for r in self.rows if (r.recipe, r.threshold_rule) == (recipe, rule))
        return row

    def difference(
        self, a: str, b: str, metric: str = "miou", rule: str = "oracle"
    ) -> tuple[float, float, float]:
        """A metric of `a` less that of `b`, with its paired 95 % interval; NaN where there is none."""
        (found,) = (c for c in self.comparisons if {c.a, c.b} == {a, b} and c.threshold_rule == rule)
        pair = found if found.b == a else found.turned()
        value, interval = pair.difference[metric], pair.ci[metric]
        if value is None or interval is None:
            return math.nan, math.nan, math.nan
        return value, *interval


def read_scores(run: Path) -> list[Row]:
    """The rows of RUN/scores.json. Raises `BeyondcamError` where there are none."""
    path = run / "scores.json"
    if not (rows := read_records(path, Row, SCORE)):
        raise BeyondcamError(f"{path}: holds no scores; `{SCORE}` makes it anew")
    return rows


def write_scores(run: Path, images: LabelledImages, scores: Scores) -> None:
    """Write the scores of a split; those of other splits stay, if the checkpoint is still the same.

    A file that cannot be read is replaced.
    """
    checkpoint = checkpoint_hash(run)
    files: tuple[tuple[str, type[Origin], Sequence[Origin]], ...] = (
        ("scores", Row, scores.rows),
        ("comparisons", Comparison, scores.comparisons),
        ("curves", Curve, list(scores.curves.values())),
    )
    for name, kind, records in files:
        path, kept = run / f"{name}.json", list[Origin]()
        with suppress(BeyondcamError):
            kept = [
                old
                for old in read_records(path, kind, SCORE)
                if (old.data, old.split) != (images.data, images.split) and old.checkpoint == checkpoint
            ]
        write_records(path, [*kept, *records])
