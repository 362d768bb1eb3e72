"""Which photo each file of evidence was made of, so that no other photo is taken to be it.

A photo may be replaced by another under its name, and photos may be moved to another place. Evidence itself
does not say what photo it was made of; lines in files beside it do, `ID,EVIDENCE,SIZE,TIME,PHOTO`: the
digests of the evidence and of the photo, and the photo's size and time, so that it is not read again while
these are the same. A line is written before its evidence is, and counts for evidence of its digest alone; so
a process that is killed at any moment leaves nothing that is mistaken, and processes and machines, which
write files of their own, need not know of each other.
"""

import hashlib
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock
from urllib.parse import quote, unquote

from beyondcam.decode import Fingerprint
from beyondcam.files import writing

PROCESS = uuid.uuid4().hex[:16]
"""In the names of files to which several processes would add lines."""


class Origins:
    """The photos that the evidence in a folder was made of."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "photos"
        self._read: dict[Path, int] = {}
        self._photos: dict[str, dict[str, set[Fingerprint]]] = {}
        self._reading = Lock()

    def __reduce__(self) -> tuple[type["Origins"], tuple[Path]]:
        return Origins, (self.folder.parent,)  # other processes read the lines themselves

    def add(self, image_id: str, evidence: bytes, photo: Fingerprint) -> None:
        """Record the photo of evidence that is about to be written. Raises `BeyondcamError`."""
        cells = (quote(image_id, safe=""), digest(evidence), photo.size, photo.modified, photo.digest)
        add_line(self.folder / f"{PROCESS}.csv", cells)

    def changed(self, image_id: str, evidence: bytes, photo: Path | None) -> bool:
        """Whether a photo is known to be another than the one that evidence was made of."""
        if photo is None or self._matches(image_id, evidence, photo):
            return False
        self._read_on()
        return bool(self._known(image_id, evidence)) and not self._matches(image_id, evidence, photo)

    def _known(self, image_id: str, evidence: bytes) -> set[Fingerprint]:
        return set(self._photos.get(image_id, {}).get(digest(evidence), ()))

    def _matches(self, image_id: str, evidence: bytes, photo: Path) -> bool:
        return any(one.matches(photo) for one in self._known(image_id, evidence))

    def of(self, ids: Iterable[str]) -> Iterator[tuple[str, set[Fingerprint]]]:
        """Those of the images that photos were recorded for, with all of these."""
        self._read_on()
        for i in ids:
            if i in self._photos:
                yield i, set().union(*self._photos[i].values())

    def _read_on(self) -> None:
        """Read the lines that were added since; another thread waits until they are known."""
        for path in self.folder.glob("*.csv"):
            with self._reading, suppress(OSError), path.open("rb") as file:
                file.seek(self._read.get(path, 0))
                lines, _, rest = file.read().rpartition(b"\n")
                self._read[path] = file.tell() - len(rest)
                for line in lines.decode("ascii", "replace").splitlines():
                    cells = line.split(",")
                    if len(cells) == 5 and cells[2].isdecimal() and cells[3].isdecimal():
                        name, evidence, size, modified, photo = cells
                        known = self._photos.setdefault(unquote(name), {}).setdefault(evidence, set())
                        known.add(Fingerprint(int(size), int(modified), photo))


def add_line(path: Path, cells: Iterable[object]) -> None:
    """Add a line to a file of this process's own. Raises `BeyondcamError`."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="ascii") as file:
            file.write(",".join(map(str, cells)) + "\n")


def digest(content: bytes) -> str:
    """16 hexadecimal digits of the SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()[:16]
