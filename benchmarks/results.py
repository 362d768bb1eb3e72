"""Sections of docs/results.md, each written by the command that made its figures."""

import re
import subprocess
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "docs" / "results.md"

HEAD = """# Results

Every table here was written by the command that stands above it. Intervals are 95 %, bootstrap over images.
"""


def write_section(name: str, title: str, command: str, body: str) -> None:
    """Replace or append the section `name`, with the command and the commit that made it."""
    text = RESULTS.read_text() if RESULTS.exists() else HEAD
    section = (
        f"<!-- {name} -->\n## {title}\n\nMade by `{command}` at commit {_commit()}.\n\n{body.strip()}\n"
        f"<!-- end {name} -->\n"
    )
    pattern = re.compile(rf"<!-- {name} -->.*<!-- end {name} -->\n", re.DOTALL)
    text = pattern.sub("", text).rstrip()
    RESULTS.write_text(f"{text}\n\n{section}")


def _commit() -> str:
    words = ["git", "-C", str(RESULTS.parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
