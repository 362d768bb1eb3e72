"""A page of the masks that were written, first those that should show something and do not."""

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
    rest = (i for i in images.ids if i not in written.left_out)  # those that ask for no trust, as a human's
    ids = [*dict.fromkeys([*written.empty, *written.worst, *rest])]
    shown = []
    for i in ids[:MOST]:
        labels = ", ".join(images.classes[c] for c in sorted(images.labels.get(i, ()))) or "no label"
        note = f"{labels}: empty mask" if i in written.empty else labels
        shown.append((i, f"overlays/{quote(i)}.jpg", note))
    page = render("overview.html", images=images, written=written, shown=shown, masks=len(ids))
    write_whole(out / "index.html", page.encode())
    return out / "index.html"
