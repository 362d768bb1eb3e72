"""Which studies there are. Listing them imports none, for that takes seconds."""

from collections.abc import Callable
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any

from beyondcam.registry import Registry


@dataclass(frozen=True)
class Study:
    """An experiment with one question.

    Attributes
    ----------
    question : what `beyondcam study --list` shows.
    answer : a function from a `Workspace` to a `Finding`, or where it is, as `package.module:function`, which
        is imported when the study is run.
    compares : whether it takes several RUNs.

    """

    question: str
    answer: str | Callable[..., Any]
    compares: bool = False

    @property
    def function(self) -> Callable[..., Any]:
        """The function that answers."""
        return resolve_name(self.answer) if isinstance(self.answer, str) else self.answer


QUESTIONS = {
    "window": "How large is the contribution window, and what does a larger one change?",
    "regions": "Where is saliency high: on what CAM finds, or on what it misses?",
    "crops": "How do the number, scale, size and weighting of crops change the maps?",
    "perturbations": "Which is best at equal cost: noise, masks or crops, with and without tuning?",
    "refinement": "How much does each refinement, alone or in a chain, improve each map?",
    "methods": "What of the score is the map, what refinement, and what would do without a classifier?",
    "trainings": "Does best beat CAM whichever way the classifier was trained, and by how much?",
    "references": "How far do the recalls depend on the reference CAM, and on the classifier's training?",
    "noise": "What do labels that are missing or wrong do to seeds?",
    "honesty": "Does the ranking of recipes depend on the choice of τ, and do maps on the classifier?",
    "coco": "Are the results on PASCAL VOC the same on data in COCO's format?",
    "backbones": "Does saliency beat CAM for other networks too?",
    "when": "When does saliency beat CAM, and can that be predicted without masks?",
}
COMPARING = ("coco", "backbones", "when")
"""The studies that take several RUNs."""

STUDIES: Registry[Study] = Registry(
    "study",
    "beyondcam.studies",
    {
        name: Study(question, f"beyondcam.studies.{name}:study_{name}", name in COMPARING)
        for name, question in QUESTIONS.items()
    },
    Study,
)


def register_study(name: str, study: Study) -> Study:
    """Add a study, which `beyondcam study NAME` runs and `beyondcam study --list` shows.

    Parameters
    ----------
    name
        the name.
    study
        its question, and the function that answers.

    Returns
    -------
    `study`.

    Raises
    ------
    BeyondcamError
        Where the name is that of a built-in one.

    """
    return STUDIES.register(name, study)
