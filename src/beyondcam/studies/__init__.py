"""Studies: experiments that go from nothing to a finding with its interval.

A new one is a function `Bench -> Finding` in a file of its own, and one line in `STUDIES`.
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from beyondcam.errors import BeyondcamError
from beyondcam.studies.bench import FULL, QUICK, Bench, Budget
from beyondcam.studies.crops import crops
from beyondcam.studies.finding import Finding
from beyondcam.studies.honesty import honesty
from beyondcam.studies.perturbations import perturbations
from beyondcam.studies.refinement import refinement
from beyondcam.studies.regions import regions
from beyondcam.studies.window import window


class Study(NamedTuple):
    """A question, and the function that answers it."""

    question: str
    run: Callable[[Bench], Finding]


STUDIES = {
    "window": Study("How far does one activation reach, and what does a wider reach change?", window),
    "regions": Study("Where is saliency high: on what CAM finds, or on what it misses?", regions),
    "crops": Study("How do the number, scale, size and weighting of crops change the maps?", crops),
    "perturbations": Study("Noise, masks or crops, at equal cost, tuned and untuned?", perturbations),
    "refinement": Study("What does each refinement, alone or in a chain, do for each map?", refinement),
    "honesty": Study("Does a ranking outlive the choice of τ, and are maps about the classifier?", honesty),
}  # fmt: skip

__all__ = ["FULL", "QUICK", "STUDIES", "Bench", "Budget", "Finding", "Study", "run_study"]


def run_study(
    name: str, out: Path, budget: Budget, run: Path | None, command: str, say: Callable[[str], None]
) -> dict[str, str]:
    """Run a study and write its page; `run` is the RUN to study, None for the embedded digits.

    Returns what was left out, with the reason. Killed at any moment, it goes on where it stopped.
    """
    if name not in STUDIES:
        raise BeyondcamError(f"study {name}: there are {', '.join(STUDIES)}")
    bench = Bench(out, budget, run, say)
    finding = STUDIES[name].run(bench)
    facts = {
        "study": name,
        "question": STUDIES[name].question,
        "data": bench.config.data,
        **bench.notes,
        "passes": f"{bench.cost.forward:,} forward, {bench.cost.backward:,} backward",
        "megapixels": f"{bench.cost.megapixels:,.0f}",
        "command": command,
    }
    say(finding.statement)
    say(f"study: {finding.write(out, facts).resolve()}")
    return bench.left_out
