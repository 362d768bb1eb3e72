"""Sections of the pages in docs; each is written by the benchmark that computes its figures."""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from beyondcam import Cookbook
from beyondcam.evidence import AdaptiveThreshold
from beyondcam.files import hash_of

DOCS = Path(__file__).parent.parent / "docs"

HEADS = {
    "results/corrections": """# What corrected masks are worth

`beyondcam segment` trains on the masks that somebody accepted or corrected as they are, and on seeds of the
other photos. Here true masks stand for corrected ones. They are given to the photos whose seeds are the least
trustworthy, as `beyondcam review` shows them first, or to photos drawn at random.
""",
    "methods": "# Methods at equal refinement\n",
    "performance": """# Performance

Each ratio of times is of two things measured in interleaved pairs in one run, with its 95 % interval. A bar
is met or missed when the whole interval lies on one side of it.
""",
    "scaling": """# Scaling

Images are mapped in fixed chunks of 16, in the order of their ids. `torchrun -m beyondcam map` gives each
process every N-th chunk, and `--shard I/N` does so for each job of an array. Processes share only the RUN
folder, and together they write the same bytes as a single process. A job that was stopped is resumed when the
command is run again.
""",
}


def write_section(name: str, title: str, command: str, body: str, page: str | None = None) -> None:
    """Replace or append the section `name` of a page, and state the command and commit that made it.

    By default the page is that of the study: `crops-animals` and `study-crops-digits` are sections of
    docs/results/crops.md. A comment keeps `hashes_of` the text, by which a test sees what has changed since.
    """
    hashes = [f" {name} {value}" for name, value in hashes_of(body).items()]
    recipes = f"<!-- recipes{''.join(hashes)} -->\n" if hashes else ""
    section = (
        f"<!-- {name} -->\n## {title}\n\nMade by `{command}` at commit {_commit()}.\n\n{body.strip()}\n"
        f"{recipes}<!-- end {name} -->\n"
    )
    place(name, section, page or page_of(name))


def hashes_of(text: str) -> dict[str, str]:
    """The hashes of the recipes in the tables of a text, and of the rule `adaptive`, where it names it."""
    hashes = {name: Cookbook().recipe(name).hash for name in recipes_in(text)}
    if re.search("adaptive|default threshold", text):
        rule = AdaptiveThreshold
        hashes["adaptive"] = hash_of([rule.SMALL, rule.HALFWAY, rule.FALLS, rule.fall, rule.TRUSTED])
    return hashes


def recipes_in(text: str) -> list[str]:
    """The built-in recipes, or refined ones, that are named by a whole cell of a table, by name."""
    known = Cookbook()
    cells = {cell.strip(" `") for line in text.splitlines() if line[:1] == "|" for cell in line.split("|")}
    names = (cell for cell in cells if cell.partition("+")[0] in known.recipes)
    return sorted(name for name in names if {*name.split("+")[1:]} <= {*known.refinements})


def page_of(name: str) -> str:
    """The page of results that a section stands on."""
    study, _, data = name.removeprefix("study-").rpartition("-")
    return f"results/{study or data}"


def place(name: str, section: str, page: str) -> None:
    """Put a section on its page, in the place of its last version."""
    path = DOCS / f"{page}.md"
    text = path.read_text() if path.exists() else HEADS.get(page, f"# {path.stem.capitalize()}\n")
    pattern = re.compile(rf"<!-- {name} -->.*<!-- end {name} -->\n", re.DOTALL)
    text, replaced = pattern.subn(lambda _: section, text)
    path.parent.mkdir(exist_ok=True)
    path.write_text(text if replaced else f"{text.rstrip()}\n\n{section}")


def table(*rows: tuple[object, ...], head: Sequence[str] = ("ratio", "measured", "bar")) -> str:
    """A table in markdown."""
    lines = (head, ["---"] * len(head), *rows)
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)


def seen(ledgers: Mapping[str, object]) -> str:
    """What each row of a table has seen beside images and their labels, those alike together."""
    names: dict[str, list[str]] = {}
    for name, ledger in ledgers.items():
        names.setdefault(str(ledger), []).append(f"`{name}`")
    lines = (f"- {', '.join(alike)}: {ledger}" for ledger, alike in names.items())
    return "\n".join(["What each has seen beside images and labels:\n", *lines])


def shown(data: str) -> str:
    """The value of `--data` as a page shows it: without paths of this machine."""
    folder = os.environ.get("BEYONDCAM_DATA")
    return data.replace(folder, "$BEYONDCAM_DATA") if folder else data


def _commit() -> str:
    """The commit that is checked out, and whether its code has uncommitted changes."""
    words = ["git", "-C", str(DOCS), "rev-parse", "--short", "HEAD"]
    changes = ["git", "-C", str(DOCS.parent), "status", "--porcelain", "src", "benchmarks"]
    commit, changed = (
        subprocess.run(each, capture_output=True, text=True, check=True).stdout.strip()
        for each in (words, changes)
    )
    return f"{commit}, with changes" if changed else commit
