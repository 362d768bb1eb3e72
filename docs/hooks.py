"""What mkdocs does beside what mkdocs.yml says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File

INTERVAL = re.compile(r"(\d)\s+\[([-+]?[\d.]+),\s+([-+]?[\d.]+)\]")

TOUR = "tour.md"


def on_config(config: Any) -> None:
    """Pages of results that a benchmark has begun, and the navigation does not name, follow the others."""
    (results,) = (part["Results"] for part in config.nav if "Results" in part)
    named = {page for entry in results for page in entry.values()}
    pages = sorted(Path(config.docs_dir, "results").glob("*.md"))
    results += [name for page in pages if (name := f"results/{page.name}") not in named]


def on_files(files: Any, config: Any) -> None:
    """The notebook is a page, too."""
    notebook = json.loads(Path(config.docs_dir, "tour.ipynb").read_text(encoding="utf-8"))
    files.append(File.generated(config, TOUR, content="\n\n".join(shown(notebook))))


def shown(notebook: dict[str, Any]) -> Iterator[str]:
    """A notebook's cells and what they gave, as Markdown."""
    for cell in notebook["cells"]:
        source = "".join(cell["source"])
        yield source if cell["cell_type"] == "markdown" else f"```python\n{source}\n```"
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if picture := data.get("image/jpeg"):
                yield f"![what the lines above draw](data:image/jpeg;base64,{picture.strip()})"
            else:
                yield f"```text\n{''.join(output.get('text', data.get('text/plain'))).rstrip()}\n```"
    yield "This page is a notebook: [tour.ipynb](tour.ipynb)."


def on_page_markdown(markdown: str, page: Any, **_: object) -> str:
    """Keep a figure and its interval, `0.72 [0.69, 0.75]`, on one line; show the notebook as its page."""
    markdown = INTERVAL.sub("\\1\u00a0[\\2,\u00a0\\3]", markdown)
    return markdown if page.file.src_uri == TOUR else markdown.replace("(tour.ipynb)", f"({TOUR})")
