"""Predict: label images of a split's photos, or of any."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from beyondcam.data import SUFFIXES, LabelledImages, Photo, read_photo
from beyondcam.errors import BeyondcamError
from beyondcam.files import ahead, path_below, write_whole
from beyondcam.label_images import LabelFolder, encode_labels
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
        if isinstance(photo, LeftOut):
            left_out[i] = photo.reason
            continue
        labels = segmenter.label(photo, images.labels[i] if to_labels else None)
        write_whole(path_below(out, i, ".png"), encode_labels(labels.numpy()))
    return left_out


def predict_photos(segmenter: Segmenter, places: Sequence[Path], out: Path) -> dict[str, str]:
    """Write `out/masks/NAME.png`, `out/overlays/NAME.jpg`, `out/classes.txt` of photos and folders of them.

    Returns the photos left out, with the reason. Raises `BeyondcamError` where `out` is no place for them.
    """
    folder = LabelFolder(out, segmenter.classes)
    written_to = [(out / kind).resolve() for kind in ("masks", "overlays")]
    files: dict[str, Path] = {}
    left_out: dict[str, str] = {}
    for path in _files(places):
        first = files.setdefault(path.stem, path)
        if first.resolve() != path.resolve():
            left_out[str(path)] = f"has the same name as {first}; rename one"
        if path.resolve().parent in written_to:
            raise BeyondcamError(f"out: {path} could be written over in {out}; name another")
    unread: dict[str, str] = {}
    folder.begin("predict", files)
    for name, photo in _photos(list(files), lambda name: read_photo(files[name]), "predict"):
        if isinstance(photo, LeftOut):
            unread[name] = photo.reason
            continue
        folder.write(name, segmenter.label(photo).numpy(), photo)
    folder.drop(unread)
    return left_out | {str(files[name]): reason for name, reason in unread.items()}


def _files(places: Sequence[Path]) -> Iterator[Path]:
    """The files named, and the pictures in the folders named, in the order of their names."""
    for place in places:
        if not place.is_dir():
            yield place
            continue
        inside = sorted(path for path in place.iterdir() if path.suffix.lower() in SUFFIXES)
        if not inside:
            raise BeyondcamError(f"{place}: holds no image")
        yield from inside


def _photos(
    names: Sequence[str], read: Callable[[str], Photo], what: str
) -> Iterator[tuple[str, Photo | LeftOut]]:
    """Each name with its photo, which is read in the background."""
    return zip(names, track(ahead(attempt(read), names), what, len(names)), strict=True)
