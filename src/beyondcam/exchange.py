"""Masks of a RUN, out to another program's format and back as corrections."""

import shutil
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID, LabelledImages
from beyondcam.decode import decoding
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Shelf, Threshold
from beyondcam.files import write_csv
from beyondcam.formats import FORMATS, Book, Entry, Labelled
from beyondcam.outcome import LeftOut, Outcome, attempt
from beyondcam.reviews import Reviews, State
from beyondcam.seeds import SeedsAndMasks

STATES = (*get_args(State), "open")
"""Of an image: what somebody decided, or `open`."""


def export_masks(
    images: LabelledImages,
    shelf: Shelf,
    threshold: Threshold,
    reviews: Reviews,
    form: str,
    out: Path,
    states: Collection[str] = STATES,
) -> Outcome[str]:
    """Write the masks of the images in some `states` to a new folder, in one of `FORMATS`.

    Accepted and corrected masks are as they are, others seeds. `out/masks.csv` says which is which, and whose
    and since when. Returns the state of each image that was written. Raises `BeyondcamError`, also where the
    folder is not empty.
    """
    if unknown := set(states) - set(STATES):
        raise BeyondcamError(f"{min(unknown)} is none of {', '.join(STATES)}", parameter="states")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BeyondcamError(f"{out} is not empty; name another folder", parameter="out")
    sources, outcome = SeedsAndMasks(images, shelf, threshold, reviews), Outcome[str]()
    rows = [("image", "file", "state", "who", "when")]

    def masks() -> Iterator[Labelled]:
        for i in images.ids:
            decision = sources.decisions.get(i)
            state = decision.state if decision else "open"
            if state not in states:
                continue
            read = attempt(sources.read)(i)
            if isinstance(read, LeftOut):
                outcome.left_out[i] = read.reason
                continue
            outcome.results[i] = state
            whose = (decision.who, decision.when.isoformat()) if decision else ("", "")
            rows.append((i, images.file_name(i), state, *whose))
            yield read[0]

    try:
        FORMATS[form].write(masks(), Book(images), out)
        write_csv(out / "masks.csv", rows)
    except BaseException:  # half of it would stand in the way of the next call
        shutil.rmtree(out, ignore_errors=True)
        raise
    return outcome


def import_masks(
    images: LabelledImages,
    reviews: Reviews,
    form: str,
    path: Path,
    who: str,
    *,
    empty: bool = False,
    seeds: tuple[Shelf, Threshold] | None = None,
) -> Outcome[str]:
    """Take the masks that a file or folder in one of `FORMATS` has, as corrected by somebody.

    Photos that it shows nothing on are left as they are, unless `empty` says that they are background. What
    comes back unchanged stays what it was: a mask that was accepted or corrected before, and, of photos
    without one, the seed, where the evidence and threshold that it was cut from are given as `seeds`.
    Returns `corrected`, `unchanged` or `empty` by the names in the file. Raises `BeyondcamError` where it
    cannot be read.
    """
    book, current = Book(images), reviews.current()
    sources = SeedsAndMasks(images, *seeds, reviews) if seeds else None
    seen: set[str] = set()

    @attempt
    def sent(image_id: str) -> NDArray[np.uint8]:
        """The mask of a photo as `export_masks` writes it."""
        if sources:
            return sources.read(image_id)[0].labels
        if image_id not in current:
            raise BeyondcamError(f"{image_id}: nobody has decided about it")
        return reviews.read(current[image_id])

    @attempt
    def take(entry: Entry) -> str:
        image_id = book.find(entry.name)
        with decoding(path, f"masks of {form}"):
            mask = entry.paint()
        if mask is None and not empty:
            return "empty"
        if image_id in seen:
            raise BeyondcamError("is there twice; the first was taken")
        seen.add(image_id)
        mask = np.zeros(book.size(image_id), np.uint8) if mask is None else mask
        there = sent(image_id)
        if not isinstance(there, LeftOut):
            written = there if FORMATS[form].void else np.where(there == VOID, 0, there)
            if np.array_equal(written, mask):
                return "unchanged"
        reviews.decide(image_id, "corrected", who, mask=mask)
        return "corrected"

    return Outcome.of((entry.name, take(entry)) for entry in FORMATS[form].read(path, book))
