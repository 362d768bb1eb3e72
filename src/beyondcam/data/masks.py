"""The truth: `open_masks`, the only way to the masks of any data, and `Masks`.

Masks are for scoring. Training and maps never import this module; what may is told in docs/architecture.md.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beyondcam.data import coco, digits, folder, imagefolder, parse, voc
from beyondcam.data.instances import read_instances
from beyondcam.data.mask_file import read_mask
from beyondcam.data.painting import paint
from beyondcam.data.photo import VOID
from beyondcam.data.source import choose_classes, clean_names, evenly, keep_classes, place_of, split_ids
from beyondcam.data.table import read_classes
from beyondcam.decode import MAX_PIXELS
from beyondcam.errors import BeyondcamError
from beyondcam.files import file_below, path_below, reading
from beyondcam.registry import Registry

SAMPLE = 8
"""Labelled images whose masks are compared with their labels when masks are opened."""


@dataclass(frozen=True)
class Masks:
    """The truth, for scoring.

    Attributes
    ----------
    classes : class k of a mask is `classes[k - 1]`.
    read : id → uint8 (H, W), 0 background, k class k, 255 void; raises `BeyondcamError` naming the file.

    """

    classes: tuple[str, ...]
    read: Callable[[str], Tensor]

    def truth(self, image_id: str, size: tuple[int, ...]) -> NDArray[np.uint8]:
        """The mask of an image of (height, width) `size`. Raises `BeyondcamError` where it has another."""
        mask = self.read(image_id).numpy()
        if mask.shape != size:
            raise BeyondcamError(
                f"the mask of {image_id} is {mask.shape[1]}×{mask.shape[0]} pixels, "
                f"the image {size[1]}×{size[0]}"
            )
        return mask


def open_masks(data: str | PathLike[str], split: str, classes: Sequence[str] | None = None) -> Masks | None:
    """Open the masks of data, to score by.

    What has seen them says so of itself: the rules `train`, `few` and `oracle`, and `segment --truth`.

    Parameters
    ----------
    data, split, classes
        as of `open_images`.

    Returns
    -------
    The masks, None where the data have none. One of them is read when it is asked for.

    Raises
    ------
    BeyondcamError
        Where there are no such data, or the masks surely number the classes otherwise.

    """
    with reading(data):
        kind, place = parse(fspath(data))
        return MASKS.find(kind)(place, split, clean_names(classes)) if kind in MASKS else None


def _voc(place: str, split: str, wanted: Sequence[str] | None) -> Masks | None:
    """The masks of `SegmentationClass`; classes that are not VOC's are numbered by `classes.txt`."""
    root = Path(place)
    images = voc.read_split(root, split, wanted, SAMPLE)
    masks = root / "SegmentationClass"
    if not masks.is_dir():
        return None
    numbering = root / "classes.txt"
    if images.known != voc.CLASSES and not numbering.is_file():
        raise BeyondcamError(f"{numbering}: is needed, for its lines to say how {masks} numbers the classes")
    return _of_files(lambda i: file_below(masks, i, ".png"), images.labels, images.known, wanted, numbering)


def _folder(place: str, split: str, wanted: Sequence[str] | None) -> Masks | None:
    """The index masks of `masks/`, or None where there is no such folder."""
    path, _ = place_of(place)
    root = path if path.is_dir() else path.parent
    masks = root / "masks"
    if not masks.is_dir():
        return None
    images = folder.read_folder(place, wanted)
    split_ids(images.ids, images.files, split, f"folder:{place}")
    numbering, used = root / "classes.txt", frozenset().union(*images.labels.values())
    if used and used < set(images.known) and not numbering.is_file():
        raise BeyondcamError(
            f"{numbering}: is needed, since labels.csv names {len(used)} of {len(images.known)} classes, "
            "and which of them the masks number is not clear"
        )
    files = folder.files_by_name(masks, (".png",))
    return _of_folder(masks, files, images.labels, images.known, wanted, numbering)


def _imagefolder(place: str, split: str, wanted: Sequence[str] | None) -> Masks | None:
    """The index masks of `masks/CLASS/NAME.png`, or `masks/NAME.png` of names that only one photo has."""
    root, _ = place_of(place)
    if root.name == "images" and not (root / "masks").is_dir():
        root = root.parent
    masks, numbering = root / "masks", root / "classes.txt"
    if not masks.is_dir():
        return None
    images = imagefolder.images(place, "all", None, MAX_PIXELS)
    split_ids(images.ids, images.ids, split, f"imagefolder:{place}")
    files = folder.files_by_name(masks, (".png",))
    names = {i: PurePosixPath(i).name for i in images.ids}
    times = Counter(names.values())
    flat = {i: files[name] for i, name in names.items() if name in files and times[name] == 1}
    labels = {i: frozenset(images.classes[c] for c in present) for i, present in images.labels.items()}
    known = read_classes(numbering) or images.classes
    if strays := sorted(set(images.classes).difference(known)):
        raise BeyondcamError(f"{numbering}: does not list {strays[0]}, which has a folder of photos")
    return _of_folder(masks, flat | files, labels, known, wanted or images.classes, numbering)


def _of_folder(
    masks: Path,
    files: Mapping[str, Path],
    labels: Mapping[str, frozenset[str]],
    known: Sequence[str],
    wanted: Sequence[str] | None,
    numbering: Path,
) -> Masks:
    """The masks in a folder by the ids of their photos; without a `numbering` labels must say it."""
    opened = _of_files(
        lambda i: files.get(i) or path_below(masks, i, ".png"), labels, known, wanted, numbering
    )
    if not numbering.is_file():
        _check_told_apart(labels, files, known, numbering)
    return opened


def _of_files(
    path: Callable[[str], Path],
    labels: Mapping[str, frozenset[str]],
    known: Sequence[str],
    wanted: Sequence[str] | None,
    numbering: Path,
) -> Masks:
    """Masks in files of their own, after some have been compared with the labels of their images."""
    classes = _chosen(wanted, known, numbering)
    _compare({i: names for i, names in labels.items() if names}, path, known, numbering)

    def read(image_id: str) -> Tensor:
        return keep_classes(read_mask(path(image_id)), classes, known, str(path(image_id)))

    return Masks(classes, read)


def _chosen(wanted: Sequence[str] | None, known: Sequence[str], where: Path) -> tuple[str, ...]:
    """The classes to keep of masks, which number them all. Raises `BeyondcamError` where they cannot."""
    if len(known) > VOID - 1:
        raise BeyondcamError(f"{where}: there are {len(known)} classes; a mask can number at most {VOID - 1}")
    return choose_classes(wanted, known)


def _compare(
    labels: Mapping[str, frozenset[str]], path: Callable[[str], Path], known: Sequence[str], numbering: Path
) -> None:
    """Raise `BeyondcamError` where masks surely do not number the classes as `known` does."""
    void_alone, agree, differ = [], 0, []
    confirmed = Counter[str]()  # labels that masks show
    lost = Counter[str]()  # those that they show others for
    for i in evenly(sorted(labels), SAMPLE):
        try:
            values = set(read_mask(path(i)).unique().tolist())
        except BeyondcamError:
            continue  # which says so when it is read
        shown, named = {known[v - 1] for v in values if 0 < v <= len(known)}, labels[i]
        confirmed.update(shown & named)
        if VOID in values and not shown:
            void_alone.append(i)
        elif shown - named and named - shown:
            differ.append(f"{path(i)} shows {min(shown - named)}, {i} is labelled {min(named - shown)}")
            lost.update(named - shown)
        else:
            agree += 1
    if void_alone and not agree and not differ:
        raise BeyondcamError(
            f"{path(void_alone[0])}: holds no class but 255, which is void; write the number of a class, "
            f"which is its line in {numbering.name}"
        )
    if len(differ) > agree or any(times > 1 and not confirmed[name] for name, times in lost.items()):
        raise BeyondcamError(
            f"{numbering}: must list the classes in the order that masks number them: {differ[0]}"
        )


def _check_told_apart(
    labels: Mapping[str, frozenset[str]], masked: Collection[str], known: Sequence[str], numbering: Path
) -> None:
    """Raise `BeyondcamError` where labels that agree with masks would agree with other numbers as well."""
    looked_at = [labels[i] for i in sorted(labels) if i in masked]
    alike: dict[tuple[bool, ...], str] = {}
    for name in known:
        photos = tuple(name in present for present in looked_at)
        other = alike.setdefault(photos, name)
        if other != name and any(photos):
            raise BeyondcamError(
                f"{numbering}: is needed: {other} and {name} are in the same photos, so that these do not "
                "say which number masks give to which; list the classes in the order that masks number them"
            )


def _coco(place: str, split: str, wanted: Sequence[str] | None) -> Masks | None:
    """Masks painted from the instances, or None where the file has no annotations."""
    images, file, _ = coco.find(place, split)
    content = read_instances(file)
    if not content.labelled:
        return None
    known = coco.class_names(content, file, wanted)
    classes = _chosen(wanted, known, file)
    numbers = {str(i): i for i in content.pictures}

    def read(image_id: str) -> Tensor:
        if image_id not in numbers:
            raise BeyondcamError(f"{file}: has no image {image_id}")
        mask = torch.from_numpy(paint(images, file, content, numbers[image_id]))
        return keep_classes(mask, classes, known, f"{file}: image {image_id}")

    return Masks(classes, read)


def _digits(place: str, split: str, wanted: Sequence[str] | None) -> Masks:
    """The exact masks of the canvases."""
    settings = digits.settings_of(place, split)
    classes = choose_classes(wanted, digits.CLASSES)

    def read(image_id: str) -> Tensor:
        mask = torch.from_numpy(digits.make_canvas(image_id, settings)[1])
        return keep_classes(mask, classes, digits.CLASSES, image_id)

    return Masks(classes, read)


Source = Callable[[str, str, Sequence[str] | None], Masks | None]

MASKS: Registry[Source] = Registry(
    "source of masks",
    "beyondcam.masks",
    {"digits": _digits, "voc": _voc, "coco": _coco, "folder": _folder, "imagefolder": _imagefolder},
)
"""How the masks of each source in `beyondcam.data.SOURCES` are read; a source without an entry has none."""


def register_masks(name: str, masks: Source) -> Source:
    """Add the masks of a source of images that `register_data` adds.

    Parameters
    ----------
    name
        that of the source.
    masks
        a function of the place, the name of a split and the classes to keep (None for all) → `Masks`, or
        None where there are none.

    Returns
    -------
    `masks`.

    Raises
    ------
    BeyondcamError
        Where the name is that of a built-in source.

    """
    return MASKS.register(name, masks)
