"""Rows of results, for tests: whole ones, of which a test names what it is about."""

from typing import Any

from beyondcam.metrics.rows import Comparison, NetworkRow, Row
from beyondcam.recipes import Cookbook

ORIGIN = {
    "checkpoint": "c", "data": "d", "split": "all", "seed": 0, "targets": "labels", "precision": "float32",
}  # fmt: skip


def score_row(recipe: str, miou: float, rule: str = "train", /, **changes: Any) -> Row:
    """A row of scores.json without intervals."""
    return Row.model_validate(ORIGIN | {
        "recipe": recipe, "recipe_hash": hash_of(recipe), "threshold_rule": rule, "threshold": 0.25,
        "metrics": {"miou": miou, "dr_recall": 0.8123, "ndr_recall": 0.2345, "fg_precision": 0.6789},
        "iou": {}, "ci": {"miou": None}, "cost": None, "reference_threshold": None, "chosen_on": None,
        "images": 2, "absent": "auto", "uncovered": 0.0,
    } | changes)  # fmt: skip


def comparison(
    a: str, b: str, difference: float, ci: Any, rule: str = "train", /, **changes: Any
) -> Comparison:
    """A comparison of two recipes by mIoU."""
    return Comparison.model_validate(ORIGIN | {
        "a": a, "b": b, "a_hash": hash_of(a), "b_hash": hash_of(b), "threshold_rule": rule,
        "difference": {"miou": difference}, "ci": {"miou": ci},
    } | changes)  # fmt: skip


def network_row(name: str, trained_on: str = "seeds", **changes: Any) -> NetworkRow:
    """A row of segments.json."""
    recipe = dict.fromkeys(("recipe", "recipe_hash", "mapped", "threshold_rule", "threshold", "void"))
    return NetworkRow.model_validate({
        "name": name, "trained_on": trained_on, "seeds_split": "train", **recipe, "round": 1,
        "training_seed": 0, "architecture": "unet", "encoder": "resnet18", "config": {"seed": 0},
        "data": "d", "split": "val", "miou": 0.5, "iou": {}, "ci": {"miou": None}, "images": 2,
    } | changes)  # fmt: skip


def hash_of(recipe: str) -> str:
    """The hash of a built-in recipe; any name stands for itself."""
    return Cookbook().recipe(recipe).hash
