"""Sections of the pages in docs, each written by the command that made its figures."""

import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.metrics import estimate
from beyondcam.metrics.text import signed

DOCS = Path(__file__).parent.parent / "docs"

HEADS = {
    "results": """# Results

Every table here was written by the command that stands above it. Intervals are 95 %, bootstrap over images.
""",
    "performance": """# Performance

Each ratio of times is of two things measured in interleaved pairs in one run, with its 95 % interval. A bar
is met or missed when the whole interval lies on one side of it.
""",
    "scaling": """# Scaling

Images are mapped in fixed chunks of 16, in the order of their ids. `torchrun -m beyondcam map` gives each
process every N-th chunk, `--shard I/N` each job of an array; they share the RUN folder and nothing else, and
write the bytes of a single process. Work that was cut off goes on where it stopped when the command is run
again.
""",
}


def change(differences: NDArray[np.float64]) -> str:
    """A paired difference with its interval; the full sample comes first, then its resamples."""
    value, found = estimate(differences)
    return signed((value, *(found or (value, value))))


def write_section(name: str, title: str, command: str, body: str, page: str = "results") -> None:
    """Replace or append the section `name` of a page, with the command and the commit that made it."""
    path = DOCS / f"{page}.md"
    text = path.read_text() if path.exists() else HEADS[page]
    section = (
        f"<!-- {name} -->\n## {title}\n\nMade by `{command}` at commit {_commit()}.\n\n{body.strip()}\n"
        f"<!-- end {name} -->\n"
    )
    pattern = re.compile(rf"<!-- {name} -->.*<!-- end {name} -->\n", re.DOTALL)
    text, replaced = pattern.subn(lambda _: section, text)
    path.write_text(text if replaced else f"{text.rstrip()}\n\n{section}")


def table(*rows: tuple[object, ...], head: Sequence[str] = ("ratio", "measured", "bar")) -> str:
    """A table of markdown."""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def shown(data: str) -> str:
    """`--data` as a page shows it: without what is this machine's own."""
    own = os.environ.get("BEYONDCAM_DATA")
    return data.replace(own, "$BEYONDCAM_DATA") if own else data


def _commit() -> str:
    """The commit that is checked out; what was changed since in the code is owned up to."""
    words = ["git", "-C", str(DOCS), "rev-parse", "--short", "HEAD"]
    changes = ["git", "-C", str(DOCS.parent), "status", "--porcelain", "src", "benchmarks"]
    commit, changed = (
        subprocess.run(each, capture_output=True, text=True, check=True).stdout.strip()
        for each in (words, changes)
    )
    return f"{commit}, with changes" if changed else commit
