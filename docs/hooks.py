"""What mkdocs does beside what mkdocs.yml says."""

import re
from pathlib import Path
from typing import Any

INTERVAL = re.compile(r"(\d)\s+\[([-+]?[\d.]+),\s+([-+]?[\d.]+)\]")


def on_config(config: Any) -> None:
    """Pages of results that a benchmark has begun, and the navigation does not name, follow the others."""
    (results,) = (part["Results"] for part in config.nav if "Results" in part)
    named = {page for entry in results for page in entry.values()}
    pages = sorted(Path(config.docs_dir, "results").glob("*.md"))
    results += [name for page in pages if (name := f"results/{page.name}") not in named]


def on_page_markdown(markdown: str, **_: object) -> str:
    """A figure and its interval, `0.72 [0.69, 0.75]`, stay on one line."""
    return INTERVAL.sub("\\1\u00a0[\\2,\u00a0\\3]", markdown)
