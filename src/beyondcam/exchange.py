"""Masks of a RUN, out to another program's format and back as corrections."""

import shutil
from collections.abc import Collection, Iterator
from dataclasses import replace
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
    rows, sent = [("image", "file", "state", "who", "when")], list[str]()

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
            mask = read[0]
            if not FORMATS[form].void:
                mask = replace(mask, labels=np.where(mask.labels == VOID, 0, mask.labels).astype(np.uint8))
            sent.append(reviews.sent.digest(i, mask.labels))
            yield mask

    try:
        FORMATS[form].write(masks(), Book(images), out)
        write_csv(out / "masks.csv", rows)
        reviews.sent.add(sent)
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
) -> Outcome[str]:
    """Take the masks that a file or folder in one of `FORMATS` has, as corrected by somebody.

    Photos that it shows nothing on are left as they are, unless `empty` says that they are background. What
    comes back as it was exported, or written as a seed, is no correction, and changes nothing. Returns
    `corrected`, `unchanged` or `empty` by the names in the file. Raises `BeyondcamError` where it cannot be
    read.
    """
    book, current = Book(images), reviews.current()
    seen: set[str] = set()

    def is_known(image_id: str, mask: NDArray[np.uint8]) -> bool:
        if reviews.sent.digest(image_id, mask) in reviews.sent.known:
            return True
        held = attempt(reviews.read)(current[image_id]) if image_id in current else None
        return isinstance(held, np.ndarray) and np.array_equal(held, mask)

    @attempt
    def take(entry: Entry) -> str:
        image_id = book.find(entry.name)
        with decoding(path, f"masks of {form}"):
            mask = entry.paint()
        if mask is None and not empty:
            return "empty"
        if image_id in seen:
            raise BeyondcamError("is there twice; the first was taken")
        mask = np.zeros(book.size(image_id), np.uint8) if mask is None else mask
        known = is_known(image_id, mask)
        if not known:
            if VOID in mask and not np.setdiff1d(mask, (0, VOID)).size:
                raise BeyondcamError("shows no class but 255, which is void; write the numbers of classes")
            reviews.decide(image_id, "corrected", who, mask=mask)
        seen.add(image_id)
        return "unchanged" if known else "corrected"

    outcome = Outcome.of((entry.name, take(entry)) for entry in FORMATS[form].read(path, book))
    if not outcome.results and not outcome.left_out:
        raise BeyondcamError(f"{path}: holds no mask, as {form} has them")
    return outcome
