"""Label images as files that people and the field's tools can read, and the folders they are written to.

Nothing here leads to masks: what trains and predicts writes its label images with this module too.
"""

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from beyondcam.data import PALETTE, LabelledImages, Photo
from beyondcam.data.folder import WRITTEN
from beyondcam.decode import Fingerprint, read_json, read_notes, read_text
from beyondcam.errors import BeyondcamError
from beyondcam.files import locked, path_below, write_json, write_whole, writing

KINDS = {"masks": ".png", "overlays": ".jpg", "npy": ".npy"}
"""Subfolders with a file of each name, and the suffixes of the files."""

BESIDE = ("instances.json", "index.html", "predictions.csv", "confidence-*.csv")
"""What is written beside the subfolders."""

PHOTO = "Photo"
"""Under this name a PNG notes the size, time and digest of the photo's file."""

OVERLAY = 4096
"""Longest side of an overlay in pixels: photos that are predicted in tiles may be far larger."""


class LabelFolder:
    """A folder of label images: `masks/NAME.png`, `overlays/NAME.jpg`, and `classes.txt`, a class a line.

    `written.json` lists the names that were written and what they are of, a split or photos to predict. So no
    file of anyone else is written over, and those of photos that are gone can be deleted.

    Parameters
    ----------
    out : the folder, which need not exist.
    classes : their names.
    data : the data that the label images are of, as `open_images` takes them.

    Raises
    ------
    BeyondcamError
        Where the folder holds data, or label images of other classes.

    """

    def __init__(self, out: Path, classes: Sequence[str], data: str = "") -> None:
        self.out, self.index = out, out / WRITTEN
        there = out / "classes.txt"
        of_data = any((out / name).is_dir() for name in ("images", "JPEGImages", "Annotations"))
        if of_data or data.endswith(f":{(out / 'instances.json').resolve()}"):
            raise BeyondcamError(
                f"{out} is a folder of data, whose masks are the truth; name another", parameter="out"
            )
        if there.exists() and read_text(there) != class_list(classes):
            raise BeyondcamError(f"{out} holds masks of other classes; name another", parameter="out")
        if not self.index.exists() and (others := next(chain(*map(out.glob, BESIDE)), None)):
            raise BeyondcamError(
                f"{out} holds a file {others.name} of somebody else's; name another", parameter="out"
            )
        self._classes = class_list(classes)
        self.names()

    def names(self) -> dict[str, str]:
        """The names that were written, and what they are of. Raises `BeyondcamError`."""
        if not self.index.exists():
            return {}
        try:
            names = read_json(self.index, "a list of what was written")
            if not isinstance(names, dict):
                raise BeyondcamError(f"{self.index}: not a list of what was written")
        except BeyondcamError as error:
            raise BeyondcamError(f"{error}; name another folder, or delete this one") from error
        return names

    def has(self, name: str) -> bool:
        """Whether the mask of a name, and what shows it, are there."""
        files = self._files(name)[:2]
        return bool(files) and all(path.exists() for path in files)

    def is_of(self, name: str, photo: Path | None) -> bool:
        """Whether the mask of a name says that it is of this photo; True where the photo is not known."""
        if photo is None:
            return True
        with suppress(BeyondcamError, ValueError):
            size, modified, digest = read_notes(self._files(name)[0]).get(PHOTO, "").split()
            return Fingerprint(int(size), int(modified), digest).matches(photo)
        return False

    def begin(self, source: str, names: Iterable[str]) -> None:
        """Record the names about to be written of a `source`. Raises `BeyondcamError` for others' files."""
        names = list(names)
        with self._changed() as known:
            self.check(names)
            known.update(dict.fromkeys(names, source))
        write_whole(self.out / "classes.txt", self._classes.encode())

    def check(self, names: Iterable[str]) -> None:
        """Raise `BeyondcamError` where files of others stand where those of some names would be written."""
        known = self.names()
        for name in names:
            if name not in known and (there := [path for path in self._files(name) if path.exists()]):
                raise BeyondcamError(
                    f"{there[0]} is there already, and was not written by beyondcam; name another folder",
                    parameter="out",
                )

    def write(
        self, name: str, labels: NDArray[np.uint8], photo: Photo, facts: Mapping[str, str] | None = None
    ) -> None:
        """Write a label image, and one over its photo; `facts` are as in `encode_labels`.

        Raises `BeyondcamError` where labels and photo differ in size.
        """
        check_size(photo, labels)
        write_whole(path_below(self.out / "masks", name, ".png"), encode_labels(labels, facts))
        shown = Image.fromarray(photo.pixels.permute(1, 2, 0).numpy())
        shown.thumbnail((OVERLAY, OVERLAY))
        small = Image.fromarray(labels).resize(shown.size, Image.Resampling.NEAREST)
        picture = overlay(np.asarray(shown), np.asarray(small))
        write_whole(path_below(self.out / "overlays", name, ".jpg"), encoded(picture, "JPEG", quality=90))

    def drop(self, names: Iterable[str]) -> None:
        """Delete the files of names that were written before."""
        with self._changed() as known:
            for name in names:
                if known.pop(name, None) is not None:
                    for path in self._files(name):
                        path.unlink(missing_ok=True)

    @contextmanager
    def _changed(self) -> Iterator[dict[str, str]]:
        """The names, to be changed while no other process does so."""
        with writing(self.out), locked(self.out):
            names = self.names()
            yield names
            write_json(self.index, names)

    def _files(self, name: str) -> list[Path]:
        """Where the files of a name are; nowhere for a name that leads out of the folder."""
        try:
            return [path_below(self.out / kind, name, suffix) for kind, suffix in KINDS.items()]
        except BeyondcamError:
            return []


def noted(photo: Photo) -> dict[str, str]:
    """What a mask says of the photo that it was made of, as `LabelFolder.is_of` reads it."""
    return {PHOTO: " ".join(map(str, photo.file))} if photo.file else {}


def check_apart(out: Path, images: LabelledImages) -> None:
    """Raise `BeyondcamError` where a folder to write to is searched for photos, as its files would be."""
    if not images.data.startswith(("folder:", "imagefolder:")):  # others list their photos
        return
    folder = next((own for i in images.ids if (own := images.folder_of(i))), None)
    if folder and out.resolve().is_relative_to(folder.resolve()):
        raise BeyondcamError(f"{out} lies among the photos; name another folder", parameter="out")


def check_size(photo: Photo, labels: NDArray[np.uint8]) -> None:
    """Raise `BeyondcamError` where a label image has another size than its photo as stored."""
    if labels.shape != photo.size:
        height, width = photo.size
        raise BeyondcamError(
            f"its labels are {labels.shape[1]}×{labels.shape[0]} pixels, the image {width}×{height}; "
            "were they made of another?"
        )


def digest_of(labels: NDArray[np.uint8]) -> str:
    """Sixteen hexadecimal digits of a label image (H, W)."""
    return hashlib.sha256(str(labels.shape).encode() + labels.tobytes()).hexdigest()[:16]


def class_list(classes: Sequence[str]) -> str:
    """Names by line: class k is line k, as in a `folder:`."""
    return "".join(f"{name}\n" for name in classes)


def encode_labels(labels: NDArray[np.uint8], facts: Mapping[str, str] | None = None) -> bytes:
    """A label image (H, W) as a PNG with the VOC palette, and `facts` as text inside."""
    picture = Image.fromarray(labels)
    picture.putpalette(PALETTE)
    text = PngImagePlugin.PngInfo()
    for name, fact in (facts or {}).items():
        text.add_itxt(name, fact)
    return encoded(picture, "PNG", pnginfo=text)


def encoded(picture: Image.Image, form: str, **options: Any) -> bytes:
    """A picture as a file of one of PIL's formats."""
    out = io.BytesIO()
    picture.save(out, form, **options)
    return out.getvalue()


def overlay(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Image.Image:
    """The photo, uint8 (H, W, 3), with each label's colour over it; background stays as it is."""
    photo = Image.fromarray(pixels)
    colours = Image.fromarray(np.array(PALETTE, np.uint8).reshape(256, 3)[labels])
    return Image.composite(Image.blend(photo, colours, 0.55), photo, Image.fromarray(labels > 0))
