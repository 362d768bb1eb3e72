"""Running a study: from its question to its page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from beyondcam.errors import BeyondcamError
from beyondcam.metrics.bootstrap import FEW
from beyondcam.metrics.text import caution
from beyondcam.progress import Log
from beyondcam.studies.catalogue import STUDIES
from beyondcam.studies.workspace import Budget, Workspace


def run_study(
    name: str,
    out: Path,
    budget: Budget,
    run: Path | None,
    command: str,
    log: Log,
    beside: Sequence[Path] = (),
    settings: Any = None,
) -> dict[str, str]:
    """Run a study and write its page to `out`; a study that was stopped at any moment is resumed.

    `run` is the RUN to study, None for a classifier trained on the digits, and `beside` are other RUNs to
    compare it with. `command` is shown on the page; `settings` replace the study's own.
    Returns what was left out, with the reason.
    """
    try:
        study = STUDIES.find(name)
    except ValueError as error:
        raise BeyondcamError(str(error), parameter="name") from None
    if beside and not study.compares:
        raise BeyondcamError(f"study {name} takes a single RUN", parameter="beside")
    if beside and run is None:
        raise BeyondcamError("set run too, the RUN to compare these with", parameter="beside")
    workspace = Workspace(out, budget, run, log, beside)
    finding = study.function(workspace, *([] if settings is None else [settings]))
    cost = sum((other.cost for other in workspace.others), workspace.cost)
    few = caution(int(workspace.notes.get("images", FEW)))
    facts = {
        "study": name,
        "question": study.question,
        "data": workspace.config.data,
        **workspace.notes,
        **({"caution": few} if few else {}),
        **{f"{other.run}: {note}": text for other in workspace.others for note, text in other.notes.items()},
        "passes": f"{cost.forward:,} forward, {cost.backward:,} backward",
        "megapixels": f"{cost.megapixels:,.0f}",
        "command": command,
    }
    log(finding.statement)
    log(f"study: {finding.write(out, facts).resolve()}")
    left_out: dict[str, str] = {}
    for each in (workspace, *workspace.others):
        left_out |= each.not_learnt | each.left_out
    return left_out
