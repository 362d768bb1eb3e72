"""The scores of a split, and the files of a RUN that hold them."""

import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from beyondcam.data import LabelledImages
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import checkpoint_hash
from beyondcam.files import locked
from beyondcam.metrics.rows import SCORE, Comparison, Curve, Origin, Row, read_records, write_records

T = TypeVar("T")


@dataclass(frozen=True)
class Scores:
    """What `score_split` returns.

    Attributes
    ----------
    rows : a `Row` for each recipe and threshold rule; `table` has them with the columns of `scores.json`
        (docs/metrics.md).
    comparisons : the paired differences between recipes, as in `comparisons.json`.
    curves : mIoU over τ for each recipe, and where there is a reference CAM, recalls over τ of that.
    left_out : images, recipes and rules without a result → the reason.

    """

    rows: list[Row] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)

    def extend(self, others: "Scores") -> None:
        """Add the scores of other recipes."""
        self.rows.extend(others.rows)
        self.comparisons.extend(others.comparisons)
        self.curves.extend(others.curves)
        self.left_out.update(others.left_out)

    def row(self, recipe: str, rule: str = "oracle") -> Row:
        """The row of a recipe under a rule, by default the upper bound, whose τ the scored masks chose.

        Raises `BeyondcamError` where there is none, or several.
        """
        return _only(
            [r for r in self.rows if (r.recipe, r.threshold_rule) == (recipe, rule)],
            f"rows of {recipe} by {rule}",
            (f"{r.recipe} by {r.threshold_rule}" for r in self.rows),
        )

    def table(self) -> list[dict[str, Any]]:
        """The rows with the columns of `scores.json`, as `pandas.DataFrame` takes them."""
        return [row.to_json() for row in self.rows]

    def curve(self, recipe: str) -> Curve:
        """The curve of a recipe. Raises `BeyondcamError` where there is none, or several."""
        found = [c for c in self.curves if c.recipe == recipe]
        return _only(found, f"curves of {recipe}", (c.recipe for c in self.curves))

    def difference(
        self, recipe: str, other: str, metric: str = "miou", rule: str = "oracle"
    ) -> tuple[float, float, float]:
        """A metric of `recipe` less that of the `other`, with its paired 95 % interval; NaN without one.

        Raises `BeyondcamError` where they were not compared under the rule, or several times.
        """
        pair = _only(
            [c for c in self.comparisons if {c.a, c.b} == {recipe, other} and c.threshold_rule == rule],
            f"comparisons of {recipe} and {other} by {rule}",
            (f"{c.a} and {c.b} by {c.threshold_rule}" for c in self.comparisons),
        )
        pair = pair if pair.b == recipe else pair.turned()
        value, interval = pair.difference[metric], pair.ci[metric]
        return (math.nan,) * 3 if value is None or interval is None else (value, *interval)


def _only(found: Sequence[T], what: str, there: Iterable[str]) -> T:
    """The only one of those found. Raises `BeyondcamError`, which names what is there."""
    if len(found) != 1:
        raise BeyondcamError(f"{len(found) or 'no'} {what}; there are {', '.join(dict.fromkeys(there))}")
    return found[0]


FILES: dict[str, tuple[str, type[Origin]]] = {
    "rows": ("scores.json", Row),
    "comparisons": ("comparisons.json", Comparison),
    "curves": ("curves.json", Curve),
}
"""Field of `Scores` → its file in a RUN, and what that holds."""


def read_scores(run: Path) -> Scores:
    """What `beyondcam score` wrote. Raises `BeyondcamError` where there is none, or a file is damaged."""
    content: dict[str, Any] = {}
    for key, (name, kind) in FILES.items():
        content[key] = read_records(run / name, kind, SCORE)
    if not content["rows"]:
        raise BeyondcamError(f"{run / 'scores.json'}: holds no scores; `{SCORE}` makes it anew")
    return Scores(**content)


def write_scores(run: Path, images: LabelledImages, scores: Scores) -> None:
    """Write the scores of a split; those of other splits stay, if the checkpoint is still the same.

    A file that cannot be read is replaced.
    """
    checkpoint = checkpoint_hash(run)
    with locked(run / "evidence"):  # or another split's, written at the same time, would be lost
        for key, (name, kind) in FILES.items():
            old = list[Origin]()
            with suppress(BeyondcamError):
                old = [r for r in read_records(run / name, kind, SCORE) if r.checkpoint == checkpoint]
            kept = [r for r in old if (r.data, r.split) != (images.data, images.split)]
            write_records(run / name, [*kept, *getattr(scores, key)])
