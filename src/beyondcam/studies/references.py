"""How far NDR-Recall depends on what the discriminative regions are taken from."""

from dataclasses import dataclass
from typing import NamedTuple

from beyondcam.metrics import METRICS, REFERENCE, Scores
from beyondcam.metrics.text import cell
from beyondcam.recipes import Cookbook
from beyondcam.studies.finding import Finding, Table
from beyondcam.studies.workspace import Workspace

REFERENCES = {"single-scale": "cam", "multi-scale": "cam-ms", "refined": "cam-ms+walk+affinity"}
"""The CAMs whose right pixels are DR, in the place of `cam`."""


RECALLS = ("dr_recall", "ndr_recall", "fg_precision")


@dataclass(frozen=True)
class ReferencesSettings:
    """The recipes that are compared, and the lengths of further trainings (none on a quick budget)."""

    recipes: tuple[str, ...] = ("crops-cam+smooth", "crops+smooth", "best")
    epochs: tuple[int, ...] = (1, 2, 4)


class Case(NamedTuple):
    """A classifier, a reference CAM of it, and the scores beside that reference."""

    classifier: str
    reference: str
    scores: Scores


def study_references(workspace: Workspace, settings: ReferencesSettings = ReferencesSettings()) -> Finding:
    """Score the same recipes beside each reference CAM, of the classifier and of briefly trained ones."""
    setups = {"as studied": workspace.main_setup()}
    if workspace.budget.thorough:
        for epochs in settings.epochs:
            name = f"after {epochs} epoch{'s' * (epochs > 1)}"
            setups[name] = workspace.train_setup(f"epochs-{epochs}", epochs=epochs)
    recipes = {name: Cookbook().recipe(name) for name in settings.recipes}
    cases = []
    for classifier, setup in setups.items():
        workspace.notes[f"classifier {classifier}"] = setup.quality
        for reference, name in REFERENCES.items():
            evidence = workspace.map_images(setup, {REFERENCE: Cookbook().recipe(name)} | recipes)
            cases.append(Case(classifier, reference, workspace.score(setup, evidence)))
    tables = [recall_table(cases, settings.recipes, rule) for rule in ("adaptive", "oracle")]
    return Finding(statement(cases, settings.recipes), tables)


def statement(cases: list[Case], recipes: tuple[str, ...]) -> str:
    """The least and the highest NDR-Recall of the last recipe, and whether the order of recipes stays."""
    last = recipes[-1]

    def recall(case: Case, recipe: str) -> float:
        return case.scores.row(recipe).metrics["ndr_recall"] or 0.0

    by_recall = sorted(cases, key=lambda case: recall(case, last))
    orders = {
        (case.classifier, case.reference): sorted(recipes, key=lambda name: recall(case, name))
        for case in cases
    }
    first, *_ = REFERENCES
    same = [order == orders[c, first] for (c, reference), order in orders.items() if reference != first]
    ends = " to ".join(
        f"{cell(case.scores.row(last), 'ndr_recall')} (classifier {case.classifier}, {case.reference} CAM)"
        for case in (by_recall[0], by_recall[-1])
    )
    return (
        f"Over {len(cases)} pairs of a classifier and a reference CAM, all at oracle τ, NDR-Recall of {last} "
        f"goes from {ends}. The order of the {len(recipes)} recipes by NDR-Recall is that beside the same "
        f"classifier's {first} CAM in {sum(same)} of {len(same)} other pairs."
    )


def recall_table(cases: list[Case], recipes: tuple[str, ...], rule: str) -> Table:
    """One row per classifier and reference; of each recipe its recalls and FG-Precision."""
    rows = []
    for classifier, reference, scores in cases:
        own = scores.row(REFERENCE, rule)
        recalls = (cell(scores.row(name, rule), metric) for name in recipes for metric in RECALLS)
        rows.append((f"{classifier}, {reference}", cell(own), *recalls))
    columns = (f"{name}, {METRICS[metric].label}" for name in recipes for metric in RECALLS)
    head = ("classifier and reference", "mIoU of the reference", *columns)
    return Table(f"Recalls by reference CAM, rule {rule}", head, rows)
