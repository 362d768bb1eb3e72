"""PASCAL VOC 2012, and data of other classes in the same folders: `voc:PATH`."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from beyondcam.data.exports import names_in_annotation
from beyondcam.data.folder import bare_name, composed, files_by_name
from beyondcam.data.mask_file import read_mask
from beyondcam.data.photo import SUFFIXES, read_photo
from beyondcam.data.source import LabelledImages, check_case, choose_classes, evenly, hash_split, index_labels
from beyondcam.data.table import read_classes
from beyondcam.decode import read_text
from beyondcam.errors import BeyondcamError
from beyondcam.files import file_below, path_below
from beyondcam.outcome import Outcome, attempt

CLASSES = (
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable",
    "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


class Split(NamedTuple):
    """What is known of a split's images.

    Attributes
    ----------
    ids : in the order of the split's list.
    files : id → photo.
    labels : id → names of classes.
    problems : id → why there is no label.
    known : all classes; VOC's own, or those of `classes.txt`, or else those that are found.

    """

    ids: tuple[str, ...]
    files: Mapping[str, Path]
    labels: Mapping[str, frozenset[str]]
    problems: Mapping[str, str]
    known: tuple[str, ...]


def images(place: str, split: str, wanted: Sequence[str] | None, max_pixels: int) -> LabelledImages:
    """Images of a split; labels from `Annotations/ID.xml` where there is one, else from the mask.

    The classes are VOC's, unless `classes.txt` lists others, `wanted` names others, or none of VOC's is
    found.
    """
    root = Path(place)
    ids, files, labels, problems, known = read_split(root, split, wanted)
    classes = choose_classes(wanted, known)
    folder = root / "JPEGImages"

    def path(image_id: str) -> Path:
        return files.get(image_id) or path_below(folder, image_id, ".jpg")

    return LabelledImages(
        data=f"voc:{root.resolve()}",
        split=split,
        classes=classes,
        ids=ids,
        labels=index_labels(labels, classes),
        unlabelled=problems,
        read=lambda i: read_photo(path(i), max_pixels=max_pixels),
        file_name=lambda i: path(i).relative_to(folder).as_posix(),
        path=path,
        form="PASCAL VOC's folders",
    )


def read_split(root: Path, split: str, wanted: Sequence[str] | None, most: int | None = None) -> Split:
    """The images of a split, or so many of them, their labels and all classes. Raises `BeyondcamError`."""
    files = _photos(root / "JPEGImages")
    ids = _split_ids(root, split, files)
    ids = evenly(ids, most or len(ids))
    listed = tuple(read_classes(root / "classes.txt"))
    named = attempt(partial(_names, root, numbered=listed or CLASSES))
    found = Outcome.of((i, named(i)) for i in ids)
    labels, problems = found.results, found.left_out
    known = listed or _known(root, frozenset().union(*labels.values()), wanted or ())
    for i, names in labels.items():
        if strays := sorted(names.difference(known)):
            problems[i] = (
                f"{root / 'Annotations' / i}.xml: {strays[0]!r} is none of the classes; where they are not "
                "VOC's, list them in classes.txt or name them by classes"
            )
    return Split(ids, files, {i: labels[i] for i in labels if i not in problems}, problems, known)


def _known(root: Path, used: frozenset[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """VOC's classes, or those that the annotations name: where `wanted` are among these, or none is VOC's.

    Where all names are close to some of VOC's, they are taken to be misspelt.
    """
    others = {*wanted} - {*CLASSES}
    if not others <= used:  # of a split that does not show them all
        for xml in sorted((root / "Annotations").glob("*.xml")):
            with suppress(BeyondcamError):
                used |= names_in_annotation(xml)
    strange = used.isdisjoint(CLASSES) and any(not get_close_matches(name, CLASSES) for name in used)
    if not (strange or (others and others <= used)):
        return CLASSES
    known = tuple(sorted(used))
    check_case(((root / "Annotations", name) for name in known), {*known}.intersection(wanted))
    return known


def _photos(folder: Path) -> dict[str, Path]:
    """Id → photo; where there are several, the JPEG is VOC's own."""
    others = tuple(suffix for suffix in SUFFIXES if suffix != ".jpg")
    return files_by_name(folder, others) | files_by_name(folder, (".jpg",))


def _split_ids(root: Path, split: str, files: Mapping[str, Path]) -> tuple[str, ...]:
    """The ids of a list in `ImageSets`; `all` is all photos. Without any list, a hash parts them."""
    lists = [path_below(root / "ImageSets" / kind, split, ".txt") for kind in ("Segmentation", "Main")]
    path = next((path for path in lists if path.is_file()), None)
    have = sorted({p.stem for path in lists for p in path.parent.glob("*.txt")})
    if path is None and files and (split == "all" or not have):
        return hash_split(sorted(files), split, f"voc:{root}")
    if path is None:
        raise BeyondcamError(
            f"{lists[0]}: no such split; there are: {', '.join([*have, 'all']) if have else 'none'}"
        )
    lines = (composed(line.strip()) for line in read_text(path).splitlines())
    ids = tuple(_id_in(line, files) for line in lines if line)
    if not ids:
        raise BeyondcamError(f"{path}: the split is empty")
    if twice := [i for i, times in Counter(ids).items() if times > 1]:
        raise BeyondcamError(f"{path}: {twice[0]} stands here twice")
    return ids


def _id_in(line: str, files: Mapping[str, Path]) -> str:
    """The id in a line of a list: the whole of it, or less VOC's mark of a class's presence, or a suffix."""
    unmarked = re.sub(r"\s+(?:-1|0|1)$", "", line)
    return next((own for own in (line, unmarked, bare_name(unmarked)) if own in files), line)


def _names(root: Path, image_id: str, numbered: Sequence[str]) -> frozenset[str]:
    """The names of the classes in an image, those of a mask by `numbered`. Raises `BeyondcamError`."""
    xml = file_below(root / "Annotations", image_id, ".xml")
    if xml.is_file():
        return names_in_annotation(xml)
    values = torch.unique(read_mask(file_below(root / "SegmentationClass", image_id, ".png"))).tolist()
    return frozenset(numbered[v - 1] for v in values if 1 <= v <= len(numbered))
