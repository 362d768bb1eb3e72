"""`beyondcam study` and `beyondcam demo`: from nothing to a result."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from beyondcam.cli.options import Seed, end
from beyondcam.cli.terminal import log, show


def study_command(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Which; --list says what there is.")
    ] = None,
    listed: Annotated[bool, typer.Option("--list", help="Say what each study asks, and end.")] = False,
    run: Annotated[
        Path | None, typer.Option(metavar="RUN", help="The RUN to study, by default one made of the digits.")
    ] = None,
    beside: Annotated[
        list[Path] | None, typer.Option(metavar="RUN", help="A RUN to compare it with; repeat for more.")
    ] = None,
    images: Annotated[int | None, typer.Option(min=3, help="How many images to map and score.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Minutes instead of an hour.")] = False,
    out: Annotated[Path | None, typer.Option(help="The folder; by default studies/NAME.")] = None,
) -> None:
    """One experiment, from nothing to a finding: OUT/index.html."""
    from beyondcam.studies import STUDIES

    if listed or name is None:
        for known in STUDIES.names():
            show(f"{known}: {STUDIES.find(known).question}")
        return
    from beyondcam.studies import FULL, QUICK, run_study

    budget = QUICK if quick else FULL
    budget = replace(budget, images=images or budget.images)
    command = f"beyondcam {' '.join(sys.argv[1:])}"
    end(run_study(name, out or Path("studies") / name, budget, run, command, log, beside or ()))


def demo_command(
    out: Annotated[Path, typer.Option(help="The RUN folder to make.")] = Path("demo"),
    full: Annotated[
        bool, typer.Option("--full", help="Also a segmentation network trained on seeds, and one on masks.")
    ] = False,
    seed: Seed = 0,
) -> None:
    """The whole job on the embedded digits: train, map, seeds, scores, report."""
    from beyondcam.demo import run_demo

    end(run_demo(out, seed, log, full=full))
