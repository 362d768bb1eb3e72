"""What every data source gives: images with image-level labels. Masks are in `beyondcam.data.masks` alone."""

import difflib
import hashlib
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from beyondcam.data.photo import VOID, Photo
from beyondcam.errors import BeyondcamError

T = TypeVar("T")

BACKGROUND = ("background", "_background_", "__background__", "__ignore__")
"""What is no class, as programs that number the background write it."""

SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Names of folders that are splits, in lower case, and the splits that they are."""

MASK_FOLDERS = ("masks", "mask", "segmentationclass", "segmentationobject", "ground_truth")
"""Names of folders, in lower case, whose pictures are masks, and are never taken for photos."""


@dataclass(frozen=True)
class LabelledImages:
    """Images and the classes that are in them.

    Attributes
    ----------
    data : the data as `open_images` takes it, with absolute paths.
    split : its name.
    classes : class c of `labels` is `classes[c]`.
    ids : the images of the split, in a fixed order.
    labels : id → indices of the classes present. An id without an entry is unlabelled.
    read : id → `Photo`; raises `BeyondcamError` naming the file.
    file_name : id → the file's name, for tools that are handed our results.
    path : id → the photo's file, None where it has none; raises `BeyondcamError` for an id that has no file.
    photo : id → what the photo is known by in all splits of the data, where that is not its id.
    unlabelled : id → why it has no label.
    category_ids : of the classes, as COCO's files number them.
    form : what the data were taken for, in words for people.

    """

    data: str
    split: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: Mapping[str, frozenset[int]]
    read: Callable[[str], Photo]
    file_name: Callable[[str], str] = str
    path: Callable[[str], Path | None] = lambda _: None
    photo: Callable[[str], str] = str
    unlabelled: Mapping[str, str] = field(default_factory=dict)
    category_ids: tuple[int, ...] | None = None
    form: str = ""

    def file_of(self, image_id: str) -> Path | None:
        """The photo's file; None also where its name is none that is read."""
        try:
            return self.path(image_id)
        except BeyondcamError:
            return None

    def folder_of(self, image_id: str) -> Path | None:
        """The folder in which the name of a photo's file begins; None where it has no file."""
        if (file := self.file_of(image_id)) is None:
            return None
        name = Path(self.file_name(image_id))
        inside = not name.is_absolute() and file.parts[-len(name.parts) :] == name.parts
        return file.parents[len(name.parts) - 1] if inside else file.parent

    def shared(self, others: "LabelledImages") -> set[str]:
        """The ids of those photos of these that are among the others, of the same data."""
        theirs = set(map(others.photo, others.ids))
        return {i for i in self.ids if self.photo(i) in theirs}

    def taken_for(self, given: str) -> str:
        """One line for people: what `given` data were taken for; empty where they say it all themselves."""
        guessed = given.partition(":")[0] != self.data.partition(":")[0]
        told = ", ".join(filter(None, [f"is {self.data}" if guessed else "", self.form]))
        return f"{given}: {told}" if told else ""

    def summary(self) -> str:
        """One line for people: how many photos there are, and how many of each class."""
        counts = [0] * len(self.classes)
        for i in self.ids:
            for c in self.labels.get(i, ()):
                counts[c] += 1
        by_class = ", ".join(f"{name} {count}" for name, count in zip(self.classes, counts, strict=True))
        unlabelled = sum(i not in self.labels for i in self.ids)
        none = sum(i in self.labels and not self.labels[i] for i in self.ids)
        rest = f"; {none} of no class" if none else ""
        rest += f"; {unlabelled} without a label" if unlabelled else ""
        return f"{self.split}: {len(self.ids)} photos, by class: {by_class}{rest}"


def clean_name(name: str) -> str:
    """The name of a class without what cannot be seen: spaces around it and zero-width characters.

    Accents are composed, since some systems take them apart. Joiners inside a word stay.
    """
    visible = "".join(c for c in name if c not in "\u200b\u2060\ufeff\u00ad")
    return unicodedata.normalize("NFC", visible).strip().strip("\u200c\u200d\u200e\u200f").strip()


def clean_names(wanted: Sequence[str] | None) -> list[str] | None:
    """The names of the classes asked for, as data have them; None where none are."""
    return None if wanted is None else [clean_name(name) for name in wanted]


def listed_name(folder: Path, name: str) -> str:
    """The name of a file of `folder`, as in lists: with backslashes, `./` or `//`, or the folder in front."""
    first, *parts = name.replace("\\", "/").split("/")
    name = "/".join([first, *(part for part in parts if part not in ("", "."))])
    for prefix in (f"{folder.as_posix()}/", f"{folder.resolve().as_posix()}/", "./"):
        name = name.removeprefix(prefix)
    return name


def check_case(names: Iterable[tuple[Path | str, str]], known: Collection[str]) -> None:
    """Raise `BeyondcamError` where names of classes, each after where it stands, differ in case alone.

    Those that are `known`, since somebody lists them or asks for them, are meant.
    """
    seen = {name.casefold(): name for name in known}
    for where, name in names:
        other = name if name in known else seen.setdefault(name.casefold(), name)
        if other != name:
            raise BeyondcamError(f"{where}: {name!r} is also written {other!r}; write one of them")


def choose_classes(wanted: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """The classes to keep: all that the data has, or the wanted ones in the order asked for.

    Raises `BeyondcamError`.
    """
    chosen = tuple(known) if wanted is None else tuple(wanted)
    if not chosen:
        raise BeyondcamError("none is named; leave them out to keep all", parameter="classes")
    if len(chosen) > VOID - 1:
        raise BeyondcamError(
            f"there are {len(chosen)}; a mask can number at most {VOID - 1}: name those to keep",
            parameter="classes",
        )
    for name in wanted or ():
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
            raise BeyondcamError(f"no class named {name!r} in this data{hint}", parameter="classes")
    for name in chosen:
        if name.casefold() in BACKGROUND:
            raise BeyondcamError(
                f"a class is called {name}, as are the pixels of none; name it as that of photos of "
                "no class (negatives), or name the others (classes)",
                parameter="classes",
            )
        if not name or any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
            raise BeyondcamError(
                f"{name!r} is no name, since it is empty or has control characters", parameter="classes"
            )
        if chosen.count(name) > 1:
            raise BeyondcamError(f"{name!r} is there twice", parameter="classes")
    return chosen


def index_labels(names: Mapping[str, Collection[str]], classes: Sequence[str]) -> dict[str, frozenset[int]]:
    """Class names of each image → indices into `classes`; names that were not kept drop out."""
    index = {name: c for c, name in enumerate(classes)}
    return {i: frozenset(index[n] for n in present if n in index) for i, present in names.items()}


def keep_classes(mask: Tensor, classes: Sequence[str], known: Sequence[str], what: str) -> Tensor:
    """Renumber a mask over `known` to one over `classes`; pixels of the other classes become void.

    `mask` is uint8 (H, W) with 0 background, k for `known[k - 1]`, 255 void. Raises `BeyondcamError`,
    naming `what`, where it holds another value.
    """
    table = np.full(256, VOID, np.uint8)
    table[0] = 0
    for k, name in enumerate(classes, start=1):
        table[known.index(name) + 1] = k
    values = mask.numpy()
    strays = values[(values > len(known)) & (values < VOID)]
    if len(strays):
        raise BeyondcamError(f"{what}: mask value {strays.min()} is none of the {len(known)} classes")
    return torch.from_numpy(table.take(values))


def evenly(items: Sequence[T], count: int) -> tuple[T, ...]:
    """Up to so many of the items, evenly spread."""
    count = min(count, len(items))
    return tuple(items[n * len(items) // count] for n in range(count))


def hash_split(ids: Sequence[str], split: str, where: str) -> tuple[str, ...]:
    """The splits of data that brings none: `train`, `val` (a fifth, by a hash of the id) and `all`.

    Raises `BeyondcamError`.
    """
    if split not in ("train", "val", "all"):
        raise BeyondcamError(f"{where}: no split {split!r}; this data has train, val and all")
    if split == "all":
        return tuple(ids)
    return tuple(i for i in ids if _in_val(i) == (split == "val"))


def split_ids(ids: Sequence[str], photos: Collection[str], split: str, where: str) -> tuple[str, ...]:
    """The ids of a split: of folders called as splits are where all photos lie in such, else by `hash_split`.

    The `ids` are those of the `photos`, and of some that are only said to be there, by which nothing is told.
    Raises `BeyondcamError` where the split is empty, or some photos lie beside the folders of splits.
    """
    if folders := split_folders(photos):
        if split not in (*folders, "all"):
            raise BeyondcamError(
                f"{where}: the split {split} is empty; there are {', '.join(folders)} and all"
            )
        return tuple(i for i in ids if split in (split_of(i), "all"))
    splits = sorted({*map(split_of, photos)} - {""})
    if len(splits) > 1:  # of one alone the folder may be a class, as train is of vehicles
        outside = next(i for i in photos if not split_of(i))
        raise BeyondcamError(
            f"{where}: has folders for {' and '.join(splits)}, but {outside} lies in none of them; "
            "move it into one"
        )
    chosen = hash_split(ids, split, where)
    if not chosen:
        raise BeyondcamError(f"{where}: the split {split} is empty")
    return chosen


def split_folders(ids: Collection[str]) -> list[str]:
    """The splits that the folders of photos are called as; empty unless all lie in such folders."""
    splits = {*map(split_of, ids)}
    return [] if "" in splits else sorted(splits)


def split_of(image_id: str) -> str:
    """The split that the folder of a photo is called as; empty where it is called otherwise."""
    folder, inside, _ = image_id.partition("/")
    return SPLITS.get(folder.lower(), "") if inside else ""


def place_of(place: str) -> tuple[Path, str | None]:
    """The path of `PATH[:NEGATIVES]`, and what stands for photos of no class; None where nothing is said."""
    path, told, negatives = place.rpartition(":")
    return (Path(place), None) if Path(place).exists() or not told else (Path(path), clean_name(negatives))


def without_negatives(
    names: Mapping[str, Collection[str]], negatives: str | None, where: str
) -> dict[str, frozenset[str]]:
    """Names of classes by id, less that of photos of no class. Raises `BeyondcamError` where none has it."""
    if negatives and not any(negatives in present for present in names.values()):
        raise BeyondcamError(
            f"{where}: no photo is of {negatives}, the name of those of no class", parameter="negatives"
        )
    return {i: frozenset(present) - {negatives} for i, present in names.items()}


def _in_val(image_id: str) -> bool:
    return int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:4], "big") % 5 == 0
