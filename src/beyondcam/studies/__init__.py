"""Studies: experiments that go from nothing to a finding with its interval.

A new one is a function `Bench -> Finding` in a file of its own, and one line in `STUDIES`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from beyondcam.errors import BeyondcamError
from beyondcam.studies.backbones import backbones
from beyondcam.studies.bench import FULL, QUICK, Bench, Budget
from beyondcam.studies.coco import coco
from beyondcam.studies.crops import crops
from beyondcam.studies.finding import Finding
from beyondcam.studies.honesty import honesty
from beyondcam.studies.perturbations import perturbations
from beyondcam.studies.refinement import refinement
from beyondcam.studies.regions import regions
from beyondcam.studies.when import when
from beyondcam.studies.window import window


class Study(NamedTuple):
    """A question, the function that answers it, and whether it sets other RUNs beside the one studied."""

    question: str
    run: Callable[[Bench], Finding]
    beside: bool = False


STUDIES = {
    "window": Study("How far does one activation reach, and what does a wider reach change?", window),
    "regions": Study("Where is saliency high: on what CAM finds, or on what it misses?", regions),
    "crops": Study("How do the number, scale, size and weighting of crops change the maps?", crops),
    "perturbations": Study("Noise, masks or crops, at equal cost, tuned and untuned?", perturbations),
    "refinement": Study("What does each refinement, alone or in a chain, do for each map?", refinement),
    "honesty": Study("Does a ranking outlive the choice of τ, and are maps about the classifier?", honesty),
    "coco": Study("Does the table of PASCAL VOC look the same on data in COCO's format?", coco, beside=True),
    "backbones": Study("Does saliency's lead over CAM hold across networks?", backbones, beside=True),
    "when": Study("When does saliency beat CAM, and what tells so beforehand?", when, beside=True),
}  # fmt: skip

__all__ = ["FULL", "QUICK", "STUDIES", "Bench", "Budget", "Finding", "Study", "run_study"]


def run_study(
    name: str,
    out: Path,
    budget: Budget,
    run: Path | None,
    command: str,
    say: Callable[[str], None],
    beside: Sequence[Path] = (),
) -> dict[str, str]:
    """Run a study and write its page; `run` is the RUN to study, None for the embedded digits.

    `beside` are other RUNs to set beside it. Returns what was left out, with the reason. Killed at any
    moment, it goes on where it stopped.
    """
    if name not in STUDIES:
        raise BeyondcamError(f"there is no study {name}; there are {', '.join(STUDIES)}", parameter="name")
    if beside and not STUDIES[name].beside:
        raise BeyondcamError(f"study {name} examines one RUN only", parameter="beside")
    if beside and run is None:
        raise BeyondcamError("needs a RUN to compare these with; give run too", parameter="beside")
    bench = Bench(out, budget, run, say, beside)
    finding = STUDIES[name].run(bench)
    cost = sum((other.cost for other in bench.beside), bench.cost)
    facts = {
        "study": name,
        "question": STUDIES[name].question,
        "data": bench.config.data,
        **bench.notes,
        **{f"{other.run}: {note}": text for other in bench.beside for note, text in other.notes.items()},
        "passes": f"{cost.forward:,} forward, {cost.backward:,} backward",
        "megapixels": f"{cost.megapixels:,.0f}",
        "command": command,
    }
    say(finding.statement)
    say(f"study: {finding.write(out, facts).resolve()}")
    return {k: v for own in (bench, *bench.beside) for k, v in own.left_out.items()}
