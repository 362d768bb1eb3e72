"""A folder for each class, as of torchvision's ImageFolder: `imagefolder:PATH[:NEGATIVES]`."""

from collections.abc import Sequence
from pathlib import Path

from beyondcam.data.folder import files_by_name
from beyondcam.data.photo import SUFFIXES, Photo, read_photo
from beyondcam.data.source import LabelledImages, choose_classes, hash_split, index_labels
from beyondcam.errors import BeyondcamError

SPLITS = ("train", "val", "test")

NEGATIVES = ("good", "negative", "negatives", "none", "ok")
"""Names of folders that may be a class, or hold photos of none."""


def images(place: str, split: str, wanted: Sequence[str] | None, max_pixels: int) -> LabelledImages:
    """Images of a split (train, val or all); each shows the class that its folder is called.

    Photos may lie in subfolders of a class. Those beside the folders are unlabelled; those in the folder
    NEGATIVES show no class. Where PATH has folders for the splits, they are the splits.
    """
    path, told, negatives = (place, "", "") if Path(place).is_dir() else place.rpartition(":")
    root = Path(path)
    if not root.is_dir():
        raise BeyondcamError(f"{root}: no such folder of photos; say where it is", parameter="data")
    files = files_by_name(root, SUFFIXES)
    parts = {i: tuple(i.split("/")[:-1]) for i in files}
    if parts and all(folders and folders[0] in SPLITS for folders in parts.values()):
        where = (split,) if split in SPLITS else SPLITS
        ids = tuple(sorted(i for i, folders in parts.items() if folders[0] in where))
        parts = {i: folders[1:] for i, folders in parts.items()}
    else:
        ids = hash_split(sorted(files), split, f"imagefolder:{place}")
    if not ids:
        raise BeyondcamError(f"imagefolder:{place}: the split {split} is empty")
    names = {i: folders[0] for i, folders in parts.items() if folders}
    _check_negatives(root, told, negatives, set(names.values()))
    known = sorted(set(names.values()) - {negatives})
    if not known:
        raise BeyondcamError(f"{root}: has no folder of photos that could be a class")
    classes = choose_classes(wanted, known)
    labels = {i: {names[i]} - {negatives} for i in ids if i in names}

    def read(image_id: str) -> Photo:
        return read_photo(files[image_id], max_pixels=max_pixels)

    return LabelledImages(
        data=f"imagefolder:{root.resolve()}{place.removeprefix(path)}",
        split=split,
        classes=classes,
        ids=ids,
        labels=index_labels(labels, classes),
        unlabelled={i: "lies in no folder of a class" for i in ids if i not in names},
        read=read,
        file_name=lambda i: files[i].relative_to(root).as_posix(),
        path=files.__getitem__,
    )


def _check_negatives(root: Path, told: str, negatives: str, names: set[str]) -> None:
    """Raise `BeyondcamError` where it is not plain which folder holds photos of no class."""
    if negatives and negatives not in names:
        raise BeyondcamError(
            f"{root / negatives}: has no photo, but is named as the folder of those of no class"
        )
    doubtful = sorted(name for name in names if name.lower() in NEGATIVES)
    if doubtful and not told:
        raise BeyondcamError(
            f"{root / doubtful[0]}: a class, or photos of none? Write imagefolder:{root}:{doubtful[0]} for "
            f"photos of none, imagefolder:{root}: for a class"
        )
