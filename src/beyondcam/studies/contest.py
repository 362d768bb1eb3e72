"""The comparison that counts: every map refined as is best on `train`, τ from there, scored once on `val`."""

from collections.abc import Mapping
from dataclasses import dataclass

from beyondcam.metrics import METRICS, Row, Scores
from beyondcam.recipes import Cookbook, Recipe
from beyondcam.studies.finding import Table, cell, signed

CAMS = ("cam", "cam-ms", "crops-cam", "crops-cam-normalised")
MAPS = (*CAMS, "saliency", "crops-raw", "crops", "crops-mean")
MENU = ("", "+smooth", "+blur", "+superpixels", "+smooth+superpixels", "+blur+superpixels")
"""What every map may be refined by."""

COMPARED = ("miou", "ndr_recall", "fg_precision")


def menu() -> dict[str, Recipe]:
    """Every map with every refinement."""
    cookbook = Cookbook()
    return {base + step: cookbook.recipe(base + step) for base in MAPS for step in MENU}


@dataclass(frozen=True)
class Contest:
    """How the maps come out.

    Attributes
    ----------
    chosen : map → the name of its refined recipe that has the highest mIoU on the training split.
    scores : of the split that is scored, with the rule `train`.
    train_images : that the choice rests on.

    """

    chosen: Mapping[str, str]
    scores: Scores
    train_images: int

    @classmethod
    def of(cls, on_train: Scores, scores: Scores) -> "Contest":
        """Choose by the scores of the training split, at its own best τ."""
        miou = {r.recipe: r.miou for r in on_train.rows if r.threshold_rule == "oracle"}
        chosen = {base: max((base + step for step in MENU), key=miou.__getitem__) for base in MAPS}
        return cls(chosen, scores, on_train.rows[0].images)

    def row(self, base: str) -> Row:
        """The row of a map, τ chosen on the training split."""
        return self.scores.row(self.chosen[base], "train")

    @property
    def best_cam(self) -> str:
        """The CAM with the highest mIoU."""
        return max(CAMS, key=lambda base: self.row(base).miou)

    def lead(self, base: str, metric: str = "miou") -> tuple[float, float, float]:
        """A metric of a map less that of the best CAM, with its interval."""
        return self.scores.difference(self.chosen[base], self.chosen[self.best_cam], metric, "train")

    def by_recipe(self) -> Table:
        """A row a map, the best one first."""
        rows = sorted((self.row(base) for base in MAPS), key=lambda row: -row.miou)
        head = ("recipe", "τ", "mIoU", "DR-Recall", "NDR-Recall", "FG-Precision", "passes", "megapixels")
        title = f"Refinement and τ chosen on {self.train_images} images of train, {rows[0].images} scored"
        return Table(title, head, [cells(row) for row in rows])

    def leads(self) -> Table:
        """A row a map that is no CAM."""
        rows = [
            (self.chosen[base], *(signed(self.lead(base, metric)) for metric in COMPARED))
            for base in MAPS
            if base not in CAMS
        ]
        title = f"Paired differences to the best CAM row, {self.chosen[self.best_cam]}"
        return Table(title, ("recipe", "mIoU", "NDR-Recall", "FG-Precision"), rows)


def cells(row: Row) -> tuple[str, ...]:
    """A row of scores as a table shows it."""
    cost = row.cost
    assert cost is not None
    return (
        row.recipe,
        f"{row.threshold:.3f}",
        *(cell(row, metric) for metric in METRICS),
        f"{cost.forward:.0f} + {cost.backward:.0f}",
        f"{cost.megapixels:.1f}" if cost.megapixels >= 0.1 else f"{cost.megapixels:.1g}",
    )
