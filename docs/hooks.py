"""What mkdocs does to every page: a figure and its interval, `0.72 [0.69, 0.75]`, stay on one line."""

import re

INTERVAL = re.compile(r"(\d)\s+\[([-+]?[\d.]+),\s+([-+]?[\d.]+)\]")


def on_page_markdown(markdown: str, **_: object) -> str:
    """Join them by spaces that do not break."""
    return INTERVAL.sub("\\1\u00a0[\\2,\u00a0\\3]", markdown)
