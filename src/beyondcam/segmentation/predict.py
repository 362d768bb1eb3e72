"""Predict: label images of a split's photos, or of any."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from beyondcam.data import MAX_PIXELS, MAX_SIDE, SUFFIXES, LabelledImages, Photo, read_photo
from beyondcam.data.folder import composed, files_below
from beyondcam.data.photo import UNREAD
from beyondcam.decode import is_geotiff
from beyondcam.errors import BeyondcamError
from beyondcam.files import hash_of, locked, path_below, write_whole
from beyondcam.label_images import KINDS, LabelFolder, encode_labels, noted
from beyondcam.outcome import LeftOut, attempt
from beyondcam.progress import each
from beyondcam.segmentation.areas import append_areas, areas_of, read_areas, write_areas
from beyondcam.segmentation.network import Segmenter, Tta


def predict_split(
    segmenter: Segmenter,
    images: LabelledImages,
    out: Path,
    *,
    to_labels: bool = False,
    shard: tuple[int, int],
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
    for i, photo in each(read, images.ids[shard[0] :: shard[1]], f"predict {images.split}"):
        predict = attempt(partial(segmenter.predict, allowed=images.labels.get(i) if to_labels else None))
        found = photo if isinstance(photo, LeftOut) else predict(photo)
        if isinstance(found, LeftOut):
            left_out[i] = found.reason
        else:
            write_whole(path_below(out, i, ".png"), encode_labels(found.labels.numpy()))
    return left_out


def predict_photos(
    segmenter: Segmenter,
    places: Sequence[Path],
    out: Path,
    max_pixels: int = MAX_PIXELS,
    *,
    tta: Tta | None = None,
    tile: int | None = None,
    resume: bool = False,
) -> dict[str, str]:
    """Write what a network says of photos, and folders of them, as `write_predictions` does.

    A photo's name is its path below its folder, without the suffix. Where several would have the same, all
    are called by their paths below the folder that holds all places, if need be with their suffixes.
    `max_pixels` is that of `read_photo`. GeoTIFFs are left out: a mask would lose its place on the map.
    Returns the photos left out, with the reason. Raises `BeyondcamError` where `out` is no place for them.
    """
    files = _named(places, out.resolve())
    max_side = MAX_SIDE if tile is None else max_pixels  # windows are cut from all pixels

    def read(name: str) -> Photo:
        if is_geotiff(files[name]):
            raise BeyondcamError("a GeoTIFF, left alone: its mask would lose its place; cut it into pictures")
        return read_photo(files[name], max_side, max_pixels)

    left_out = write_predictions(
        segmenter, list(files), read, out, tta=tta, tile=tile, resume=resume, file_of=files.get
    )
    return {str(files[name]): reason for name, reason in left_out.items()}


def write_predictions(
    segmenter: Segmenter,
    names: Sequence[str],
    read: Callable[[str], Photo],
    out: Path,
    *,
    tta: Tta | None = None,
    tile: int | None = None,
    resume: bool = False,
    file_of: Callable[[str], Path | None] = lambda _: None,
) -> dict[str, str]:
    """Write `out/masks/NAME.png`, `out/overlays/NAME.jpg`, `out/classes.txt` and `out/predictions.csv`.

    The last has the area of each label that a photo shows, as a share of it, and the mean probability of its
    pixels; photos of other names whose masks are there stay in it. With `resume`, photos that the same
    network has labelled there in the same way are left as they are, unless `file_of` gives another photo for
    the name now.
    `read` gives the photo of a name; `tta` and `tile` are those of `Segmenter.predict`. Returns the names
    left out, with the reason.
    """
    folder, table = LabelFolder(out, segmenter.classes), out / "predictions.csv"
    source = f"predict {hash_of([segmenter.checkpoint, tta, tile])}"
    if resume and set(folder.names().values()) - {source}:
        raise BeyondcamError(
            f"{folder.out} holds masks of another network, or made in another way; leave it out, or name "
            "another folder",
            parameter="resume",
        )
    asked = {*names}
    rows = {  # the row of a photo is written before its mask: one that has both is done
        name: own
        for name, own in read_areas(table).items()
        if folder.has(name) and (name not in asked or (resume and folder.is_of(name, file_of(name))))
    }
    folder.drop(set(folder.names()).intersection(names).difference(rows))
    folder.begin(source, names)
    write_areas(table, rows)
    left_out: dict[str, str] = {}
    missing = [name for name in names if name not in rows]

    def read_named(name: str) -> Photo:
        path_below(out / "masks", name, ".png")  # a name that no file can have is not predicted in vain
        return read(name)

    predict = attempt(partial(segmenter.predict, tta=tta, tile=tile))
    for name, photo in each(read_named, missing, "predict"):
        found = photo if isinstance(photo, LeftOut) else predict(photo)
        if isinstance(found, LeftOut):
            left_out[name] = found.reason
        elif isinstance(photo, Photo):
            rows[name] = areas_of(found, segmenter.classes)
            append_areas(table, name, rows[name])
            folder.write(name, found.labels.numpy(), photo, noted(photo))
    folder.drop(left_out)
    with locked(table, file=True):  # another call may have added its photos
        others = {
            name: own for name, own in read_areas(table).items() if name not in asked and folder.has(name)
        }
        write_areas(table, others | {name: rows[name] for name in names if name in rows})
    return left_out


def _named(places: Sequence[Path], out: Path) -> dict[str, Path]:
    """Name → photo, of the files named, and of the folders named but for what was written to `out`."""
    written_to = {out / kind for kind in KINDS}
    short: dict[Path, Path] = {}  # photo → its path below the folder it was found in
    paths: dict[Path, Path] = {}  # photo → its path as it was named
    for place in places:
        whole = place.resolve()
        if whole == out and place.is_dir():
            raise BeyondcamError(
                f"{place} is the photos' own; masks there would be their truth", parameter="out"
            )
        if not written_to.isdisjoint({whole, *whole.parents}):
            raise BeyondcamError(f"{place} could be written over in {out}; name another", parameter="out")
        if whole.is_dir() and whole.parent == out:
            raise BeyondcamError(f"{out} is a folder of data, {place}; name another", parameter="out")
        files = list(files_below(place, SUFFIXES + UNREAD)) if place.is_dir() else [place]
        if not files:
            raise BeyondcamError(f"{place}: holds no image")
        for path in files:
            file = path.parent.resolve() / path.name  # several links to one file are several photos
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
            return names
    spelt = Counter(composed(name.as_posix()) for name in full.values()).most_common(1)[0][0]
    raise BeyondcamError(f"{spelt}: two photos have this name but for how its accents are stored; rename one")
