"""Each map with its best refinement: chosen with τ on the training split, scored on another split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from beyondcam.metrics import METRICS, Row, Scores
from beyondcam.metrics.text import cell, signed
from beyondcam.recipes import Cookbook, Recipe
from beyondcam.studies.finding import Table

CAMS = ("cam", "cam-ms", "crops-cam", "crops-cam-normalised")
SALIENCIES = ("saliency", "crops-raw", "crops", "crops-mean")
UNREFINED = (*CAMS, *SALIENCIES)
"""The recipes that are refined, all without a refinement of their own."""

REFINEMENTS = ("", "+smooth", "+blur", "+superpixels", "+smooth+superpixels", "+blur+superpixels")
"""The refinements that are tried on each of them."""

COMPARED_METRICS = ("miou", "ndr_recall", "fg_precision")


def candidate_recipes(refinements: Sequence[str] = REFINEMENTS) -> dict[str, Recipe]:
    """Every unrefined recipe with every refinement, by name."""
    cookbook = Cookbook()
    return {name + step: cookbook.recipe(name + step) for name in UNREFINED for step in refinements}


@dataclass(frozen=True)
class Selection:
    """The refinement chosen for each recipe, and the scores."""

    chosen: Mapping[
        str, str
    ]  # unrefined recipe → the refined one with the highest mIoU on the training split
    scores: Scores  # of the evaluation split, under the rule `train` among others
    train_images: int  # number of images that the choice is based on

    @classmethod
    def choose(
        cls, on_train: Scores, scores: Scores, refinements: Sequence[str] = REFINEMENTS
    ) -> "Selection":
        """Choose by mIoU on the training split, each candidate at its oracle τ there."""
        miou = {r.recipe: r.miou for r in on_train.rows if r.threshold_rule == "oracle"}
        chosen = {
            name: max((name + step for step in refinements), key=miou.__getitem__) for name in UNREFINED
        }
        return cls(chosen, scores, on_train.rows[0].images)

    def row(self, name: str) -> Row:
        """The row of a recipe with its chosen refinement, τ chosen on the training split."""
        return self.scores.row(self.chosen[name], "train")

    @property
    def best_cam(self) -> str:
        """The CAM with the highest mIoU."""
        return max(CAMS, key=lambda name: self.row(name).miou)

    def difference(self, name: str, metric: str = "miou") -> tuple[float, float, float]:
        """A metric of a recipe minus that of the best CAM, with its interval."""
        return self.scores.difference(self.chosen[name], self.chosen[self.best_cam], metric, "train")

    def score_table(self) -> Table:
        """One row per recipe, the best first."""
        rows = sorted((self.row(name) for name in UNREFINED), key=lambda row: -row.miou)
        head = ("recipe", "τ", "mIoU", "DR-Recall", "NDR-Recall", "FG-Precision", "passes", "megapixels")
        title = f"Refinement and τ chosen on {self.train_images} images of train, {rows[0].images} scored"
        return Table(title, head, [_score_cells(row) for row in rows])

    def difference_table(self) -> Table:
        """One row per recipe that is no CAM: its differences to the best CAM."""
        rows = [
            (self.chosen[name], *(signed(self.difference(name, m)) for m in COMPARED_METRICS))
            for name in SALIENCIES
        ]
        title = f"Paired differences to the best CAM, {self.chosen[self.best_cam]}"
        return Table(title, ("recipe", "mIoU", "NDR-Recall", "FG-Precision"), rows)


def _score_cells(row: Row) -> tuple[str, ...]:
    cost = row.cost
    assert cost is not None
    return (
        row.recipe,
        f"{row.threshold:.3f}",
        *(cell(row, metric) for metric in METRICS),
        f"{cost.forward:.0f} + {cost.backward:.0f}",
        f"{cost.megapixels:.1f}" if cost.megapixels >= 0.1 else f"{cost.megapixels:.1g}",
    )
