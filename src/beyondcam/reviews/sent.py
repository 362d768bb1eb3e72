"""Which label images left a RUN, so that one that comes back as it left is not taken for a correction."""

from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.decode import read_text
from beyondcam.files import append_line, hash_of
from beyondcam.label_images import digest_of


class Sent:
    """What left a RUN, in `RUN/reviews/sent.txt`: a digest of image, classes and labels a line.

    Parameters
    ----------
    run : the RUN.
    classes : their names.

    """

    def __init__(self, run: Path, classes: Sequence[str]) -> None:
        self._file, self._classes = run / "reviews" / "sent.txt", list(classes)

    @cached_property
    def known(self) -> set[str]:
        """The digests of all that left. Raises `BeyondcamError`."""
        return set(read_text(self._file).split()) if self._file.exists() else set()

    def digest(self, image_id: str, labels: NDArray[np.uint8]) -> str:
        """What a label image (H, W) of an image is known by."""
        return hash_of([self._classes, image_id, digest_of(labels)])

    def add(self, digests: Iterable[str]) -> None:
        """Record what left. Raises `BeyondcamError`."""
        new = set(digests) - self.known
        if new:
            append_line(self._file, "\n".join(sorted(new)))
        self.known.update(new)
