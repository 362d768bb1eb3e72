"""A page of the masks that were written, the least trustworthy first."""

from pathlib import Path
from urllib.parse import quote

from beyondcam.data import LabelledImages
from beyondcam.files import write_whole
from beyondcam.report.page import render
from beyondcam.seeds import Written

MOST = 500
"""Masks on the page; the folder has them all."""


def write_overview(images: LabelledImages, written: Written, out: Path) -> Path:
    """Write `out/index.html`, which shows the overlays that `write_seeds` wrote there; return its path."""
    first = dict.fromkeys(written.worst)  # then those that ask for no trust, as a human's
    ids = [*first, *(i for i in images.ids if i not in first and i not in written.left_out)]
    shown = [
        (i, f"overlays/{quote(i)}.jpg", [images.classes[c] for c in sorted(images.labels.get(i, ()))])
        for i in ids[:MOST]
    ]
    page = render("overview.html", images=images, written=written, shown=shown, masks=len(ids))
    write_whole(out / "index.html", page.encode())
    return out / "index.html"
