"""The choice of refinements on the training split."""

import pytest

from beyondcam.metrics import Scores
from beyondcam.studies.selection import Selection, candidate_recipes
from rows import comparison, score_row


def scores_of(miou: dict[str, float], rule: str) -> Scores:
    """Rows and comparisons of recipes, by mIoU alone."""
    differences = {(a, b): miou[b] - miou[a] for a in miou for b in miou if a < b}
    return Scores(
        [score_row(name, value, rule) for name, value in miou.items()],
        [comparison(*pair, d, (d - 0.1, d + 0.1), rule) for pair, d in differences.items()],
    )


def test_refinements_are_chosen_on_the_training_split_and_scored_on_the_other() -> None:
    refinements = ("", "+smooth")
    names = list(candidate_recipes(refinements))
    train = dict.fromkeys(names, 0.5) | {"crops+smooth": 0.6, "cam-ms+smooth": 0.7}
    val = dict.fromkeys(names, 0.4) | {"crops": 0.9, "crops+smooth": 0.45, "cam-ms+smooth": 0.41, "cam": 0.3}
    selection = Selection.choose(scores_of(train, "oracle"), scores_of(val, "train"), refinements)
    assert selection.chosen["crops"] == "crops+smooth"
    assert selection.chosen["saliency"] == "saliency"  # the first of equals
    assert selection.best_cam == "cam-ms"
    assert selection.difference("crops") == pytest.approx((0.04, -0.06, 0.14))
