"""A folder for each class, as of torchvision's ImageFolder: `imagefolder:PATH[:NEGATIVES]`."""

from collections.abc import Collection, Sequence
from pathlib import Path

from beyondcam.data.folder import Content, files_by_name, labelled, left_alone
from beyondcam.data.photo import SUFFIXES
from beyondcam.data.source import (
    MASK_FOLDERS,
    LabelledImages,
    check_case,
    clean_name,
    place_of,
    split_folders,
    without_negatives,
)
from beyondcam.errors import BeyondcamError

NEGATIVES = ("good", "negative", "negatives", "none", "ok")
"""Names of folders that may be a class, or hold photos of none."""

PHOTO_FOLDERS = ("images", "imgs", "img", "jpegimages")
"""Names of folders that hold the photos of data whose labels lie elsewhere, as YOLO's do."""


def images(place: str, split: str, wanted: Sequence[str] | None, max_pixels: int) -> LabelledImages:
    """Images of a split (train, val or all); each shows the class that its folder is called.

    Photos may lie in subfolders of a class. Those beside the folders are unlabelled; those in the folder
    NEGATIVES show no class. Where PATH has folders for the splits, they are the splits. A folder that is
    called as folders of masks are is no class, and what lies in it no photo.
    """
    root, negatives = place_of(place)
    if not root.is_dir():
        raise BeyondcamError(f"{root}: no such folder of photos; say where it is", parameter="data")
    files = files_by_name(root, SUFFIXES, but=MASK_FOLDERS)
    parts = {i: i.split("/")[:-1] for i in files}
    if split_folders(files):
        parts = {i: folders[1:] for i, folders in parts.items()}
    names = {i: {clean_name(folders[0])} for i, folders in parts.items() if folders}
    labels = without_negatives(names, negatives, str(root))
    if negatives is None:
        _check_negatives(root, set[str]().union(*names.values()))
    known = sorted(set[str]().union(*labels.values()))
    if not known:
        raise BeyondcamError(
            f"{root}: has no folder of photos that could be a class, and no labels.csv that names any"
        )
    check_case(((root, name) for name in known), {*known}.intersection(wanted or ()))
    inside = {tuple(folders[:2]) for folders in parts.values() if folders}
    if len(known) == 1 and len(inside) > 1 and all(len(folders) > 1 for folders in inside):
        raise BeyondcamError(
            f"{root}: all lies in {known[0]}/; if its folders are the classes, give {root / known[0]}"
        )
    if len(known) == 1 and not negatives and known[0].lower() in PHOTO_FOLDERS:
        raise BeyondcamError(
            f"{root}: all lies in {known[0]}/, which is no class, and no labels that are read lie beside it; "
            "say what is on the photos in a labels.csv"
        )
    unlabelled = dict.fromkeys(files.keys() - labels, "lies in no folder of a class")
    data = f"imagefolder:{root.resolve()}" + ("" if negatives is None else f":{negatives}")
    content = Content(root, root, files, labels, unlabelled, {}, tuple(known), _form(root, negatives))
    return labelled(content, data, split, wanted, max_pixels)


def _form(root: Path, negatives: str | None) -> str:
    """What a folder was taken for, in words for people."""
    form = "a folder for each class" + (f", {negatives} for photos of none" if negatives else "")
    for path in sorted(root.iterdir()):
        if path.is_dir() and path.name.lower() in MASK_FOLDERS:
            form += f", {path.name}/ left out as masks (if it is a class, rename it)"
    return form + left_alone(root)


def _check_negatives(root: Path, names: Collection[str]) -> None:
    """Raise `BeyondcamError` where it is not plain which folder holds photos of no class."""
    if doubtful := sorted(name for name in names if name.lower() in NEGATIVES):
        raise BeyondcamError(
            f"{root / doubtful[0]}: a class, or photos of no class? If these, give {doubtful[0]} "
            f"here; if it is a class, write imagefolder:{root}:",
            parameter="negatives",
        )
