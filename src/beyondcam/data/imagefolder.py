"""A folder for each class, as of torchvision's ImageFolder: `imagefolder:PATH[:NEGATIVES]`."""

from collections.abc import Collection, Sequence
from pathlib import Path

from beyondcam.data.folder import files_by_name
from beyondcam.data.photo import SUFFIXES, read_photo
from beyondcam.data.source import (
    SPLITS,
    LabelledImages,
    choose_classes,
    index_labels,
    place_of,
    split_ids,
    without_negatives,
)
from beyondcam.errors import BeyondcamError

NEGATIVES = ("good", "negative", "negatives", "none", "ok")
"""Names of folders that may be a class, or hold photos of none."""


def images(place: str, split: str, wanted: Sequence[str] | None, max_pixels: int) -> LabelledImages:
    """Images of a split (train, val or all); each shows the class that its folder is called.

    Photos may lie in subfolders of a class. Those beside the folders are unlabelled; those in the folder
    NEGATIVES show no class. Where PATH has folders for the splits, they are the splits.
    """
    root, negatives = place_of(place)
    if not root.is_dir():
        raise BeyondcamError(f"{root}: no such folder of photos; say where it is", parameter="data")
    files = files_by_name(root, SUFFIXES)
    ids = split_ids(sorted(files), split, f"imagefolder:{place}")
    parts = {i: i.split("/")[:-1] for i in files}
    if all(folders and folders[0] in SPLITS for folders in parts.values()):
        parts = {i: folders[1:] for i, folders in parts.items()}
    names = {i: {folders[0]} for i, folders in parts.items() if folders}
    labels = without_negatives(names, negatives, str(root))
    if negatives is None:
        _check_negatives(root, set[str]().union(*names.values()))
    known = sorted(set[str]().union(*labels.values()))
    if not known:
        raise BeyondcamError(
            f"{root}: has no folder of photos that could be a class, and no labels.csv that names any"
        )
    classes = choose_classes(wanted, known)

    return LabelledImages(
        data=f"imagefolder:{root.resolve()}" + ("" if negatives is None else f":{negatives}"),
        split=split,
        classes=classes,
        ids=ids,
        labels=index_labels({i: labels[i] for i in ids if i in labels}, classes),
        unlabelled={i: "lies in no folder of a class" for i in ids if i not in labels},
        read=lambda i: read_photo(files[i], max_pixels=max_pixels),
        file_name=lambda i: files[i].relative_to(root).as_posix(),
        path=files.__getitem__,
        form="a folder for each class" + (f", {negatives} for photos of none" if negatives else ""),
    )


def _check_negatives(root: Path, names: Collection[str]) -> None:
    """Raise `BeyondcamError` where it is not plain which folder holds photos of no class."""
    if doubtful := sorted(name for name in names if name.lower() in NEGATIVES):
        raise BeyondcamError(
            f"negatives: {root / doubtful[0]}: a class, or photos of no class? If these, give {doubtful[0]} "
            f"here; if it is a class, write imagefolder:{root}:"
        )
