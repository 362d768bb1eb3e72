"""Predict: label images of a split's photos, or of any."""

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import SUFFIXES, LabelledImages, Photo, read_photo
from beyondcam.errors import BeyondcamError
from beyondcam.files import ahead, path_below, write_whole
from beyondcam.progress import track
from beyondcam.seeds.labels import LabelFolder, encode_labels
from beyondcam.segmentation.network import Segmenter


def predict_split(
    segmenter: Segmenter,
    images: LabelledImages,
    out: Path,
    *,
    to_labels: bool = False,
    share: tuple[int, int] = (0, 1),
) -> dict[str, str]:
    """Write `out/ID.png` (VOC palette) of a split's images; return those left out, with the reason.

    `to_labels` keeps a prediction to the image's own image-level labels; an image without any is left out.
    `share` (r, N): of every N-th image, from the r-th.
    """
    left_out: dict[str, str] = {}

    def read(image_id: str) -> Photo:
        if to_labels and image_id not in images.labels:
            raise BeyondcamError(images.unlabelled.get(image_id, "no label"))
        return images.read(image_id)

    def allowed(image_id: str) -> Collection[int] | None:
        return images.labels[image_id] if to_labels else None

    ids = images.ids[share[0] :: share[1]]
    for i, _, labels in _predicted(segmenter, ids, read, f"predict {images.split}", left_out, allowed):
        write_whole(path_below(out, i, ".png"), encode_labels(labels))
    return left_out


def predict_photos(segmenter: Segmenter, places: Sequence[Path], out: Path) -> dict[str, str]:
    """Write `out/masks/NAME.png`, `out/overlays/NAME.jpg`, `out/classes.txt` of photos and folders of them.

    Returns the photos left out, with the reason. Raises `BeyondcamError` where `out` is no place for them.
    """
    folder = LabelFolder(out, segmenter.classes)
    own = [(out / kind).resolve() for kind in ("masks", "overlays")]
    files: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for path in _photos(places):
        first = files.setdefault(path.stem, path)
        if first.resolve() != path.resolve():
            left_out[str(path)] = f"has the same name as {first}; rename one"
        if path.resolve().parent in own:
            raise BeyondcamError(f"--out {out}: {path} could be written over; name another")
    unread: dict[str, str] = {}
    folder.begin("predict", files)
    for name, photo, labels in _predicted(
        segmenter, list(files), lambda name: read_photo(files[name]), "predict", unread
    ):
        folder.write(name, labels, photo)
    folder.drop(unread)
    return left_out | {str(files[name]): reason for name, reason in unread.items()}


def _photos(places: Sequence[Path]) -> Iterator[Path]:
    """The files named, and the pictures in the folders named, in the order of their names."""
    for place in places:
        if not place.is_dir():
            yield place
            continue
        inside = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
        if not inside:
            raise BeyondcamError(f"{place}: holds no image")
        yield from inside


def _predicted(
    segmenter: Segmenter,
    ids: Sequence[str],
    read: Callable[[str], Photo],
    what: str,
    left_out: dict[str, str],
    allowed: Callable[[str], Collection[int] | None] = lambda _: None,
) -> Iterator[tuple[str, Photo, NDArray[np.uint8]]]:
    """Each image's id, photo and label image; those that cannot be read go to `left_out`."""

    def attempt(image_id: str) -> Photo | str:
        try:
            return read(image_id)
        except BeyondcamError as error:
            return str(error)

    for i, photo in zip(ids, track(ahead(attempt, ids), what, len(ids)), strict=True):
        if isinstance(photo, str):
            left_out[i] = photo
        else:
            yield i, photo, segmenter.label(photo, allowed(i)).numpy()
