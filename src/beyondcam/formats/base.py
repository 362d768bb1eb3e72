"""What all formats share: masks on their way out, and the names by which masks find home again."""

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import VOID, LabelledImages
from beyondcam.data.folder import bare_name, composed
from beyondcam.decode import read_header
from beyondcam.errors import BeyondcamError


@dataclass(frozen=True)
class Labelled:
    """A mask on its way out.

    Attributes
    ----------
    image : id of its photo.
    labels : (H, W), 0 background, k class k, 255 void.
    facts : whose it is and since when, under PNG's names for it; empty for a seed.

    """

    image: str
    labels: NDArray[np.uint8]
    facts: dict[str, str]

    @property
    def present(self) -> list[int]:
        """The classes it shows, from 1."""
        return np.setdiff1d(self.labels, (0, VOID)).tolist()


class Entry(NamedTuple):
    """What a file says of a photo.

    Attributes
    ----------
    name : of the photo, as the file writes it.
    paint : gives the mask (H, W), None where the file shows nothing on this photo; raises what it likes.

    """

    name: str
    paint: Callable[[], NDArray[np.uint8] | None]


@dataclass(frozen=True)
class Book:
    """The photos and classes that names in a file are looked up among."""

    images: LabelledImages

    def find(self, name: str) -> str:
        """The id of a photo by its name, with or without suffix and further folders in front.

        Raises `BeyondcamError` where no photo is called so, or several are.
        """
        name = composed(name)
        parts = [part for part in name.replace("\\", "/").split("/") if part]
        for known in (name, *("/".join(parts[n:]) for n in range(len(parts)))):
            for one in (known, bare_name(known)):
                if found := {i for i in self._by_name.get(one, ()) if self._may_be(i, name)}:
                    if len(found) > 1:
                        raise BeyondcamError(f"may be {' or '.join(sorted(found)[:3])}; name its folder too")
                    return next(iter(found))
        raise BeyondcamError(f"no photo of {self.images.split} is called so")

    def file_name(self, image_id: str) -> str:
        """The name of a photo's file, or its id where it has none."""
        try:
            return self.images.file_name(image_id) or image_id
        except BeyondcamError:  # its photo is gone
            return image_id

    def stem(self, image_id: str) -> str:
        """The name of a photo's file without its suffix, for files that programs pair with photos by name.

        Where another photo's is the same, or no text can hold it, the id; the whole name of the file where
        another photo is called as the id is.
        """
        file = self.file_name(image_id)
        stem = PurePosixPath(file).with_suffix("").as_posix()
        plain = composed(stem) == unicodedata.normalize("NFC", stem)
        names = (stem, image_id)[not plain :]
        return next((name for name in names if self._by_name.get(composed(name)) == {image_id}), file)

    def label(self, name: str) -> int:
        """The label of a class, from 1. Raises `BeyondcamError`."""
        if name not in self.images.classes:
            raise BeyondcamError(f"class {name!r} is none of {', '.join(self.images.classes)}")
        return self.images.classes.index(name) + 1

    def size(self, image_id: str) -> tuple[int, int]:
        """(height, width) of a photo as stored, upright. Raises `BeyondcamError`."""
        file = self.images.path(image_id)
        return read_header(file).upright if file else self.images.read(image_id).size

    def canvas(self, name: str, size: tuple[int, int]) -> NDArray[np.uint8]:
        """An empty mask of a photo. Raises `BeyondcamError` where a file has another size for it."""
        height, width = self.size(self.find(name))
        if size != (height, width):
            raise BeyondcamError(f"it is {size[1]}×{size[0]} in the file, {width}×{height} as a photo")
        return np.zeros(size, np.uint8)

    def renumbered(self, mask: NDArray[np.uint8], names: Sequence[str]) -> NDArray[np.uint8]:
        """A mask over other `names` as one over the classes. Raises `BeyondcamError`."""
        table = np.zeros(256, np.uint8)
        table[VOID] = VOID
        for value in np.setdiff1d(mask, (0, VOID)).tolist():
            if value > len(names):
                raise BeyondcamError(f"value {value} is none of the {len(names)} classes")
            table[value] = self.label(names[value - 1])
        return table[mask]

    def _may_be(self, image_id: str, name: str) -> bool:
        """Whether a photo's path is the end of a name, or the other way round: their folders agree."""
        given = "/" + bare_name(name.replace("\\", "/"))
        paths = map(composed, (image_id, self.file_name(image_id)))
        own = (f"/{one}" for path in paths for one in (bare_name(path), path))
        return any(path.endswith(given) or given.endswith(path) for path in own)

    @cached_property
    def _by_name(self) -> dict[str, set[str]]:
        """The ids by all their names; of a name that is several's, those whose file is called so in full.

        Accents are composed in all of them. Ids come last: of COCO's data they are numbers, as the files of
        other photos may be.
        """
        layers: list[dict[str, set[str]]] = [{}, {}, {}, {}]
        for i in self.images.ids:
            file = PurePosixPath(composed(self.file_name(i)))
            bare = {file.name, file.stem, PurePosixPath(composed(i)).name}
            for layer, names in zip(
                layers, ({composed(i)}, bare, {str(file.with_suffix(""))}, {str(file)}), strict=True
            ):
                for name in names:
                    layer.setdefault(name, set()).add(i)
        ids, bare_names, stems, files = layers
        return ids | bare_names | stems | files


Write = Callable[[Iterable[Labelled], Book, Path], None]
Read = Callable[[Path, Book], Iterable[Entry]]


class Format(NamedTuple):
    """How masks are written to a folder, and read from it or from the file in it; whether it has void."""

    write: Write
    read: Read
    void: bool = False


def file_in(path: Path, name: str) -> Path:
    """The file itself, or the one of this name in a folder."""
    return path / name if path.is_dir() else path
