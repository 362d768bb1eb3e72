"""Studies: experiments that answer one question each, with 95 % intervals.

A new one is a function of a `Workspace` and its settings that returns a `Finding`, in a file of its own, and
one entry in `STUDIES`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from beyondcam.errors import BeyondcamError
from beyondcam.studies.backbones import BackbonesSettings, study_backbones
from beyondcam.studies.coco import CocoSettings, study_coco
from beyondcam.studies.crops import CropsSettings, study_crops
from beyondcam.studies.finding import Finding
from beyondcam.studies.honesty import HonestySettings, study_honesty
from beyondcam.studies.perturbations import PerturbationsSettings, study_perturbations
from beyondcam.studies.refinement import RefinementSettings, study_refinement
from beyondcam.studies.regions import RegionsSettings, study_regions
from beyondcam.studies.when import WhenSettings, study_when
from beyondcam.studies.window import WindowSettings, study_window
from beyondcam.studies.workspace import FULL, QUICK, Budget, Workspace


@dataclass(frozen=True)
class Study:
    """A question, the function that answers it, and its settings; `compares` if it takes several RUNs."""

    question: str
    answer: Callable[[Workspace, Any], Finding]
    settings: Any
    compares: bool = False


STUDIES = {
    "window": Study("How large is the contribution window, and what does a larger one change?",
                    study_window, WindowSettings()),
    "regions": Study("Where is saliency high: on what CAM finds, or on what it misses?",
                     study_regions, RegionsSettings()),
    "crops": Study("How do the number, scale, size and weighting of crops change the maps?",
                   study_crops, CropsSettings()),
    "perturbations": Study("Which is best at equal cost: noise, masks or crops, with and without tuning?",
                           study_perturbations, PerturbationsSettings()),
    "refinement": Study("How much does each refinement, alone or in a chain, improve each map?",
                        study_refinement, RefinementSettings()),
    "honesty": Study("Does the ranking of recipes depend on the choice of τ, and do maps on the classifier?",
                     study_honesty, HonestySettings()),
    "coco": Study("Are the results on PASCAL VOC the same on data in COCO's format?",
                  study_coco, CocoSettings(), compares=True),
    "backbones": Study("Does saliency beat CAM for other networks too?",
                       study_backbones, BackbonesSettings(), compares=True),
    "when": Study("When does saliency beat CAM, and can that be predicted without masks?",
                  study_when, WhenSettings(), compares=True),
}  # fmt: skip

__all__ = ["FULL", "QUICK", "STUDIES", "Budget", "Finding", "Study", "Workspace", "run_study"]


def run_study(
    name: str,
    out: Path,
    budget: Budget,
    run: Path | None,
    command: str,
    log: Callable[[str], None],
    beside: Sequence[Path] = (),
    settings: Any = None,
) -> dict[str, str]:
    """Run a study and write its page to `out`; a study that was stopped at any moment is resumed.

    `run` is the RUN to study, None for a classifier trained on the digits, and `beside` are other RUNs to
    compare it with. `command` is shown on the page, `settings` are the study's own unless they are given.
    Returns what was left out, with the reason.
    """
    if name not in STUDIES:
        raise BeyondcamError(f"there is no study {name}; there are {', '.join(STUDIES)}", parameter="name")
    study = STUDIES[name]
    if beside and not study.compares:
        raise BeyondcamError(f"study {name} takes a single RUN", parameter="beside")
    if beside and run is None:
        raise BeyondcamError("set run too, the RUN to compare these with", parameter="beside")
    workspace = Workspace(out, budget, run, log, beside)
    finding = study.answer(workspace, settings or study.settings)
    cost = sum((other.cost for other in workspace.others), workspace.cost)
    facts = {
        "study": name,
        "question": study.question,
        "data": workspace.config.data,
        **workspace.notes,
        **{f"{other.run}: {note}": text for other in workspace.others for note, text in other.notes.items()},
        "passes": f"{cost.forward:,} forward, {cost.backward:,} backward",
        "megapixels": f"{cost.megapixels:,.0f}",
        "command": command,
    }
    log(finding.statement)
    log(f"study: {finding.write(out, facts).resolve()}")
    return {k: v for each in (workspace, *workspace.others) for k, v in each.left_out.items()}
