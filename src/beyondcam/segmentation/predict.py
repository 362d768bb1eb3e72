"""Predict: label images of a split's photos, or of any."""

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.data import MAX_PIXELS, SUFFIXES, LabelledImages, Photo, read_photo
from beyondcam.data.folder import composed, files_below
from beyondcam.errors import BeyondcamError
from beyondcam.files import ahead, path_below, write_whole
from beyondcam.label_images import KINDS, LabelFolder, encode_labels
from beyondcam.outcome import LeftOut, attempt
from beyondcam.progress import track
from beyondcam.segmentation.network import Segmenter


def predict_split(
    segmenter: Segmenter,
    images: LabelledImages,
    out: Path,
    *,
    to_labels: bool = False,
    shard: tuple[int, int] = (0, 1),
) -> dict[str, str]:
    """Write `out/ID.png` (VOC palette) of a split's images; return those left out, with the reason.

    `to_labels` limits a prediction to the image's own image-level labels; an image without any is left out.
    `shard` (index, count) takes every count-th image, from the index-th.
    """

    def read(image_id: str) -> Photo:
        if to_labels and image_id not in images.labels:
            raise BeyondcamError(images.unlabelled.get(image_id, "no label"))
        return images.read(image_id)

    left_out: dict[str, str] = {}
    for i, photo in _photos(images.ids[shard[0] :: shard[1]], read, f"predict {images.split}"):
        labels = _labels(segmenter, photo, images.labels.get(i) if to_labels else None)
        if isinstance(labels, LeftOut):
            left_out[i] = labels.reason
        else:
            write_whole(path_below(out, i, ".png"), encode_labels(labels))
    return left_out


def predict_photos(
    segmenter: Segmenter, places: Sequence[Path], out: Path, max_pixels: int = MAX_PIXELS
) -> dict[str, str]:
    """Write `out/masks/NAME.png`, `out/overlays/NAME.jpg`, `out/classes.txt` of photos and folders of them.

    A photo's name is its path below its folder, without the suffix. Where several would have the same, all
    are called by their paths below the folder that holds all places, if need be with their suffixes.
    `max_pixels` is that of `read_photo`. Returns the photos left out, with the reason. Raises
    `BeyondcamError` where `out` is no place for them.
    """
    folder = LabelFolder(out, segmenter.classes)
    files = _named(places, out.resolve())

    def read(name: str) -> Photo:
        return read_photo(files[name], max_pixels=max_pixels)

    left_out: dict[str, str] = {}
    folder.begin("predict", files)
    for name, photo in _photos(list(files), read, "predict"):
        labels = _labels(segmenter, photo)
        if isinstance(labels, LeftOut):
            left_out[name] = labels.reason
        elif isinstance(photo, Photo):
            folder.write(name, labels, photo)
    folder.drop(left_out)
    return {str(files[name]): reason for name, reason in left_out.items()}


def _labels(
    segmenter: Segmenter, photo: Photo | LeftOut, allowed: Collection[int] | None = None
) -> NDArray[np.uint8] | LeftOut:
    """The label image of a photo, as `Segmenter.label` gives it, or why there is none."""
    if isinstance(photo, LeftOut):
        return photo
    try:
        return segmenter.label(photo, allowed).numpy()
    except BeyondcamError as error:
        return LeftOut(str(error))


def _named(places: Sequence[Path], out: Path) -> dict[str, Path]:
    """Name → photo, of the files named, and of the folders named but for what was written to `out`."""
    written_to = {out / kind for kind in KINDS}
    short: dict[Path, Path] = {}  # photo → its path below the folder it was found in
    paths: dict[Path, Path] = {}  # photo → its path as it was named
    for place in places:
        whole = place.resolve()
        if not written_to.isdisjoint({whole, *whole.parents}):
            raise BeyondcamError(f"out: {place} could be written over in {out}; name another")
        files = list(files_below(place, SUFFIXES)) if place.is_dir() else [place]
        if not files:
            raise BeyondcamError(f"{place}: holds no image")
        for path in files:
            file = path.resolve()
            if written_to.isdisjoint(file.parents):
                short.setdefault(file, path.relative_to(place) if path != place else Path(path.name))
                paths.setdefault(file, path)
    common = Path(os.path.commonpath([file.parent for file in short])) if short else out
    full = {file: file.relative_to(common) for file in short}
    for relative in (
        {file: name.with_suffix("") for file, name in short.items()},
        {file: name.with_suffix("") for file, name in full.items()},
        full,
    ):
        names = {composed(name.as_posix()): paths[file] for file, name in relative.items()}
        if len(names) == len(paths):
            break
    return names


def _photos(
    names: Sequence[str], read: Callable[[str], Photo], what: str
) -> Iterator[tuple[str, Photo | LeftOut]]:
    """Each name with its photo, which is read in the background."""
    return zip(names, track(ahead(attempt(read), names), what, len(names)), strict=True)
