"""Results of a RUN as typed rows, and the JSON files that hold them.

`scores.json` holds a `Row` for each recipe and threshold rule, `comparisons.json` a `Comparison` for each
pair of recipes, `curves.json` a `Curve` for each recipe, `segments.json` a `NetworkRow` for each network.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from beyondcam.errors import BeyondcamError, first_complaint
from beyondcam.evidence import AdaptiveThreshold, Threshold
from beyondcam.files import path_below, read_json, write_json
from beyondcam.metrics.bootstrap import Interval
from beyondcam.metrics.rules import RULES
from beyondcam.metrics.supervision import Supervision
from beyondcam.metrics.tally import Absent

SCORE, SEGMENT = "beyondcam score", "beyondcam segment"
"""The commands that write the files."""


def _known(rule: str) -> str:
    if rule not in RULES:
        raise ValueError(f"no threshold rule is called {rule}")
    return rule


def _ranked(metrics: dict[str, float | None]) -> dict[str, float | None]:
    if metrics.get("miou") is None:
        raise ValueError("miou is missing")
    return metrics


def _has_miou(values: dict[str, Any]) -> dict[str, Any]:
    if "miou" not in values:
        raise ValueError("miou is missing")
    return values


def _inside(name: str) -> str:
    try:
        path_below(Path(), name)
    except BeyondcamError:
        raise ValueError(f"{name!r} is no name of a folder in the RUN") from None
    return name


RuleName = Annotated[str, AfterValidator(_known)]
Share = Annotated[float, Field(ge=0, le=1)]
Fall = Annotated[float, Field(ge=0, le=AdaptiveThreshold.SMALL)]
Numbers = dict[str, float | None]
Intervals = dict[str, Interval | None]
OfMetrics = AfterValidator(_has_miou)
"""What is told by metric tells the mIoU, which the report goes by."""


class Record(BaseModel):
    """Typed content of a result file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_json(self) -> dict[str, Any]:
        """What is written; a column that an older file lacks is not added to it."""
        return self.model_dump(mode="json", exclude_unset=True)


class CostPerImage(Record):
    """Mean cost of an image's maps: passes, megapixels they went over, and seconds of work."""

    forward: float
    backward: float
    megapixels: float
    seconds: float


class ChosenOn(Record):
    """The split whose masks chose a threshold, and its images where these were few."""

    split: str
    images: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return self.split if self.images is None else f"{len(self.images)} of {self.split}"


class Origin(Record):
    """The evidence and the images that a result was computed from."""

    checkpoint: str
    data: str
    split: str
    seed: int
    targets: str
    precision: str


class Shown(Record):
    """How much the masks show of a class."""

    images: int  # that show it
    area: float | None  # the median share of the pixels it takes in these; None where there are none


class Row(Origin):
    """One recipe, scored under one threshold rule. In the file its metrics stand beside the other keys."""

    recipe: str
    recipe_hash: str
    threshold_rule: RuleName
    threshold: Share | None  # None where each image and class has its own
    fall: Fall | None = None  # of these, see `AdaptiveThreshold`
    metrics: Annotated[Numbers, AfterValidator(_ranked)]  # by name of metric
    iou: Numbers  # by class, background first; None for one that is neither in the truth nor predicted
    ci: Annotated[Intervals, OfMetrics]  # 95 %, by name of metric
    iou_ci: Intervals = {}  # 95 %, by class; older files have none
    shown: dict[str, Shown] = {}  # by class; older files have none
    cost: CostPerImage | None  # None where none was recorded
    reference_threshold: Share | None  # of the reference CAM under the same rule
    chosen_on: ChosenOn | None  # for rules that take τ from another split
    images: int
    absent: Absent
    uncovered: float  # mean share of the pixels that no view covered
    supervision: Supervision | None = None  # what it has seen; older files have none

    @model_validator(mode="before")
    @classmethod
    def _gather_metrics(cls, content: Any) -> Any:
        """Take every key of a file that is no field for a metric."""
        if not isinstance(content, dict) or "metrics" in content:
            return content
        fields = {key: content[key] for key in content if key in cls.model_fields}
        return fields | {"metrics": {key: content[key] for key in content if key not in fields}}

    @property
    def background_score(self) -> Threshold:
        """The threshold."""
        if self.threshold is not None:
            return Threshold(self.threshold)
        return AdaptiveThreshold() if self.fall is None else AdaptiveThreshold(fall=self.fall)

    @property
    def miou(self) -> float:
        """The metric that rows are ranked by."""
        return self.metrics["miou"] or 0.0

    def to_json(self) -> dict[str, Any]:
        """What is written, the metrics beside the other keys."""
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
    threshold_rule: RuleName
    difference: Annotated[Numbers, OfMetrics]
    ci: Annotated[Intervals, OfMetrics]
    p: Numbers = {}  # two-sided, of each difference by itself; older files have none

    def turned(self) -> "Comparison":
        """The same comparison with `a` and `b` exchanged."""
        names = {"a": self.b, "b": self.a, "a_hash": self.b_hash, "b_hash": self.a_hash}
        difference = {m: None if d is None else -d for m, d in self.difference.items()}
        ci = {m: None if i is None else (-i[1], -i[0]) for m, i in self.ci.items()}
        return self.model_copy(update=names | {"difference": difference, "ci": ci})


class Curve(Origin):
    """What the report draws of a recipe; the last three are left out where there is no reference CAM."""

    recipe: str
    recipe_hash: str
    classes: tuple[str, ...]
    threshold: list[Share]  # of each level of the evidence
    miou: list[float]  # at each of these thresholds
    levels: dict[RuleName, int]  # of the recipe's threshold by each rule that chooses one for all
    reference_levels: dict[RuleName, int] | None = None  # of the reference's
    dr_recall: list[float | None] | None = None  # at the oracle's level, by the level of the reference
    ndr_recall: list[float | None] | None = None

    @model_validator(mode="after")
    def _check_lengths(self) -> Self:
        recalls = self.dr_recall or (), self.ndr_recall or ()
        if len(self.threshold) != len(self.miou) or len(recalls[0]) != len(recalls[1]):
            raise ValueError("its lists differ in length")
        for levels, of in ((self.levels, self.threshold), (self.reference_levels or {}, recalls[0])):
            if not all(0 <= level < len(of) for level in levels.values()):
                raise ValueError("a level is beyond its list")
        return self


class TrainedOn(Record):
    """The labels that a segmentation network was trained on; the truth comes from no recipe."""

    trained_on: Literal["seeds", "truth"]
    seeds_split: str
    recipe: str | None
    recipe_hash: str | None
    checkpoint: str | None = None
    targets: str | None = None
    mapped: int | None  # images with evidence
    threshold_rule: RuleName | None
    threshold: Share | None
    fall: Fall | None = None  # of thresholds of each image and class
    void: Share | None  # how close to √τ the √v of a pixel was left void
    supervision: str | None = None  # see docs/metrics.md; older files have none
    masks: str | None = None  # hash of the masks of humans among them


class NetworkRow(TrainedOn):
    """A segmentation network and its score on a split."""

    name: Annotated[str, AfterValidator(_inside)]  # of its folder in RUN/segment
    round: int  # from the second on, trained on the predictions of the round before
    training_seed: int
    architecture: str
    encoder: str
    config: dict[str, Any]  # settings of its training
    data: str
    split: Annotated[str, AfterValidator(_inside)]
    miou: float
    iou: Numbers
    ci: Annotated[Intervals, OfMetrics]
    images: int
    ledger: Supervision | None = None  # what it has seen; older files have none

    def to_json(self) -> dict[str, Any]:
        """What is written, the name first."""
        return {"name": self.name} | super().to_json()


R = TypeVar("R", bound=Record)


def read_records(path: Path, kind: type[R], made_by: str) -> list[R]:
    """Read a result file. Raises `BeyondcamError` that names the command that makes it."""
    content = read_json(path, made_by)
    try:
        return TypeAdapter(list[kind]).validate_python(content)  # type: ignore[valid-type]
    except ValidationError as error:
        where, what = first_complaint(error)
        raise BeyondcamError(f"{path}: {' '.join((*where, what))}; `{made_by}` makes it anew") from None


def write_records(path: Path, records: Iterable[Record]) -> None:
    """Write a result file."""
    write_json(path, [record.to_json() for record in records])
