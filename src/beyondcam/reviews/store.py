"""Decisions on the masks of a split, in a file that is only ever added to.

`RUN/reviews/SPLIT/HASH/decisions.jsonl` has a line for each decision, and one for each that is taken back. A
mask that somebody accepted or corrected lies beside it, as `masks/ID.DIGEST.png`, which no later decision
writes over: a line names the mask that it is about. So a process that is killed loses nothing that it said
was done, and several may write at once.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from beyondcam.data import LabelledImages
from beyondcam.data.mask_file import read_label_image
from beyondcam.decode import Fingerprint, decoding, open_regular
from beyondcam.errors import BeyondcamError, some_of
from beyondcam.files import (
    append_line,
    hash_of,
    path_below,
    read_json,
    sync,
    write_json,
    write_whole,
    writing,
)
from beyondcam.label_images import check_size, encode_labels
from beyondcam.reviews.sent import Sent

State = Literal["accepted", "corrected", "rejected", "skipped"]

HELD: tuple[State, ...] = ("accepted", "corrected")
"""The states of which there is a mask."""


class _Line(BaseModel):
    """What every line says: who, and when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    who: str
    when: AwareDatetime


class Decision(_Line):
    """What somebody said of the mask of an image.

    Attributes
    ----------
    key : names the decision.
    image : its id.
    state : accepted as the evidence gives it, corrected in another program, rejected, or skipped.
    recipe : whose evidence was looked at; None of a mask that came from elsewhere.
    levels : class → the level of √v, from 0 to 255, above which its pixels belong to it: τ is (level / 255)².
    off : the classes that were switched off.
    mask : digest of the file of the mask; None of a decision that has none.
    photo : the file of the photo that was looked at; None where it has none.
    who, when : by whom, and when, with the time zone.

    """

    key: str
    image: str
    state: State
    recipe: str | None = None
    levels: dict[str, Annotated[int, Field(ge=0, le=255)]] = {}
    off: tuple[str, ...] = ()
    mask: Annotated[str, Field(pattern="^[0-9a-f]{16}$")] | None = None
    photo: Fingerprint | None = None

    @property
    def facts(self) -> dict[str, str]:
        """What a file of the mask says of itself, under the names that PNG has for it."""
        return {"Author": self.who, "Creation Time": self.when.isoformat(), "Comment": f"{self.state} mask"}


class Undo(_Line):
    """Takes the decision of a key back."""

    undo: str


_LINES: TypeAdapter[Decision | Undo] = TypeAdapter(Decision | Undo)


class Reviews:
    """The decisions on the images of a split, as they are on disk at any moment.

    Parameters
    ----------
    folder : where they are kept; made by the first decision.
    images : the images. Decisions on other photos, also on former ones of the same id, do not count.
    sent : the label images that left the RUN.

    """

    def __init__(self, folder: Path, images: LabelledImages, sent: Sent) -> None:
        self.folder, self.images, self.sent = folder, images, sent
        self._file = folder / "decisions.jsonl"
        self._ids = frozenset(images.ids)
        self._decisions: dict[str, Decision] = {}  # by key, in the order of the file
        self._undone: set[str] = set()
        self._read = 0  # bytes of the file
        self._lock = Lock()

    def current(self) -> dict[str, Decision]:
        """The last decision on each image that stands, the latest of all last. Raises `BeyondcamError`."""
        with self._lock:
            self._read_on()
            standing = [d for key, d in self._decisions.items() if key not in self._undone]
        latest: dict[str, Decision] = {}
        for decision in reversed(standing):
            if decision.image in self._ids and decision.image not in latest and self._is_of(decision):
                latest[decision.image] = decision
        return dict(reversed(latest.items()))

    def lapsed(self) -> str:
        """One line for people: which masks no longer count since their photo has changed; empty for none.

        Raises `BeyondcamError`.
        """
        current = self.current()
        with self._lock:
            held = {d.image for key, d in self._decisions.items() if d.mask and key not in self._undone}
        gone = sorted(i for i in held & self._ids if i not in current)
        if not gone:
            return ""
        what = "masks of humans do not count, since the file of their photo has changed"
        return f"{len(gone)} {what}: {some_of(gone)} (they are kept in {self.folder / 'masks'})"

    def masked(self) -> dict[str, Decision]:
        """The decisions that have an accepted or a corrected mask, by image, in the order of the split."""
        current = self.current()
        return {i: current[i] for i in self.images.ids if i in current and current[i].mask}

    def read(self, decision: Decision) -> NDArray[np.uint8]:
        """The mask (H, W) of a decision: 0 background, k class k, 255 void. Raises `BeyondcamError`."""
        if decision.mask is None:
            raise BeyondcamError(f"{decision.image}: {decision.state}, so it has no mask")
        return read_label_image(self._path(decision))

    def decide(
        self,
        image_id: str,
        state: State,
        who: str,
        *,
        mask: NDArray[np.uint8] | None = None,
        recipe: str | None = None,
        levels: Mapping[str, int] | None = None,
        off: tuple[str, ...] = (),
    ) -> Decision:
        """Record a decision, with its `mask` (H, W) if accepted or corrected; on disk when this returns.

        Raises `BeyondcamError`, also where the mask is not of the size of the photo as stored, or has a value
        that is none of the classes.
        """
        if (mask is not None) != (state in HELD):
            raise BeyondcamError(f"{image_id}: a mask is {' or '.join(HELD)}, or there is none")
        if image_id not in self._ids:
            raise BeyondcamError(f"{image_id}: not an image of {self.images.split}")
        photo = self.images.read(image_id)
        decision = Decision(
            key=uuid.uuid4().hex[:16], image=image_id, state=state, who=who, when=_now(), recipe=recipe,
            levels=dict(levels or {}), off=off, photo=photo.file,
        )  # fmt: skip
        if mask is not None:
            check_size(photo, mask)
            self._check_values(image_id, mask)
            content = encode_labels(mask, decision.facts)
            decision = decision.model_copy(update={"mask": hashlib.sha256(content).hexdigest()[:16]})
            path = self._path(decision)
            write_whole(path, content)
            with writing(path):
                sync(path)
        self._append(decision)
        return decision

    def undo(self, key: str, who: str) -> None:
        """Take a decision back, so that what was decided before it counts again. Raises `BeyondcamError`."""
        with self._lock:
            self._read_on()
            if key not in self._decisions:
                raise BeyondcamError(f"{self._file}: has no decision {key}")
        self._append(Undo(undo=key, who=who, when=_now()))

    def _append(self, line: Decision | Undo) -> None:
        manifest = self.folder / "manifest.json"
        if not manifest.exists():
            write_json(manifest, _manifest(self.images))
        append_line(self._file, json.dumps(line.model_dump(mode="json"), ensure_ascii=False), _is_whole)

    def _read_on(self) -> None:
        """Read the lines that were added since, but a last one that is not whole yet.

        One whose end was taken by an editor is whole.
        """
        if not self._file.exists():
            return
        with decoding(self._file, "decisions"), open_regular(self._file) as file:
            file.seek(self._read)
            added = file.read()
        lines, _, tail = added.rpartition(b"\n")
        if _is_whole(tail):
            lines, tail = added, b""
        for text in filter(None, lines.splitlines()):
            with decoding(self._file, f"decisions; delete the line {text.decode(errors='replace')[:60]!r}"):
                line = _LINES.validate_python(json.loads(text))
            if isinstance(line, Undo):
                self._undone.add(line.undo)
            else:
                self._decisions[line.key] = line
        self._read += len(added) - len(tail)

    def _is_of(self, decision: Decision) -> bool:
        """Whether a decision is on the photo that its image has now."""
        file = self.images.file_of(decision.image)
        return file is None or decision.photo is None or decision.photo.matches(file)

    def _path(self, decision: Decision) -> Path:
        return path_below(self.folder / "masks", decision.image, f".{decision.mask}.png")

    def _check_values(self, image_id: str, mask: NDArray[np.uint8]) -> None:
        k = len(self.images.classes)
        if strays := [v for v in np.unique(mask).tolist() if k < v < 255]:
            raise BeyondcamError(f"{image_id}: mask value {strays[0]} is none of the {k} classes")


def _is_whole(line: bytes) -> bool:
    """Whether a line that has no end says all that it should."""
    try:
        _LINES.validate_python(json.loads(line))
    except ValueError:
        return False
    return True


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def open_reviews(run: Path, images: LabelledImages) -> Reviews:
    """The decisions on a split of data; none yet where nobody has made any.

    Data are known by their photos, so that the decisions are found again when they were moved.
    """
    asked, sent = _manifest(images), Sent(run, images.classes)
    place = path_below(run / "reviews", images.split)
    own = place / hash_of(asked)
    if not own.exists():
        for path in sorted(place.glob("*/manifest.json")):
            there = read_json(path, "beyondcam review")
            if isinstance(there, dict) and there | {"data": images.data} == asked:
                moved = Reviews(path.parent, images, sent)
                if any(d.photo is not None for d in moved.current().values()):
                    return moved
    return Reviews(own, images, sent)


def _manifest(images: LabelledImages) -> dict[str, object]:
    """What decisions belong to."""
    return {"version": 1, "data": images.data, "split": images.split, "classes": list(images.classes)}
