"""What every data source gives: images with image-level labels, and, apart from them, masks.

Training and maps are handed `LabelledImages`, which hold no way to a mask. `Masks` are for scoring.
"""

import difflib
import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beyondcam.data.photo import VOID, Photo
from beyondcam.errors import BeyondcamError


@dataclass(frozen=True)
class LabelledImages:
    """Images and the classes that are in them.

    Attributes
    ----------
    data : the data as `--data` takes it, with absolute paths; evidence is kept under it.
    classes : class c of `labels` is `classes[c]`.
    ids : the images of the split, in a fixed order.
    labels : id → indices of the classes present. An id without an entry is unlabelled.
    unlabelled : id → why it has no label.
    read : id → `Photo`; raises `BeyondcamError` naming the file.
    file_name : id → the file's name, for tools that are handed our results.
    photo : id → what the photo is known by in all splits of the data, where that is not its id.
    category_ids : of the classes, as COCO's files number them.

    """

    data: str
    split: str
    classes: tuple[str, ...]
    ids: tuple[str, ...]
    labels: Mapping[str, frozenset[int]]
    read: Callable[[str], Photo]
    file_name: Callable[[str], str] = str
    photo: Callable[[str], str] = str
    unlabelled: Mapping[str, str] = field(default_factory=dict)
    category_ids: tuple[int, ...] | None = None

    def shared(self, others: "LabelledImages") -> set[str]:
        """The ids of those photos of these that are among the others, of the same data."""
        theirs = set(map(others.photo, others.ids))
        return {i for i in self.ids if self.photo(i) in theirs}


@dataclass(frozen=True)
class Masks:
    """The truth, for scoring. `read(id)` gives uint8 (H, W): 0 background, k class k, 255 void."""

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


def choose_classes(wanted: Sequence[str] | None, known: Sequence[str]) -> tuple[str, ...]:
    """The classes to keep: all that the data knows, or the wanted ones in the order asked for."""
    if len(known) > VOID - 1:
        raise BeyondcamError(f"{len(known)} classes: a mask can number at most {VOID - 1}")
    if "background" in (known if wanted is None else wanted):
        raise BeyondcamError(
            "a class is called background, as is what belongs to none; leave it out by --classes"
        )
    if wanted is None:
        return tuple(known)
    for name in wanted:
        if name not in known:
            close = difflib.get_close_matches(name, known, 1)
            hint = f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(known)}"
            raise BeyondcamError(f"--classes: no class named {name!r} in this data{hint}")
    if len(set(wanted)) < len(wanted):
        raise BeyondcamError("--classes: a class is named twice")
    return tuple(wanted)


def index_labels(names: Mapping[str, Collection[str]], classes: Sequence[str]) -> dict[str, frozenset[int]]:
    """Class names an image → indices into `classes`; names that were not kept drop out."""
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
    values = torch.unique(mask).tolist()
    strays = [v for v in values if len(known) < v < VOID]
    if strays:
        raise BeyondcamError(f"{what}: mask value {strays[0]} is none of the {len(known)} classes")
    return torch.from_numpy(table)[mask.long()]


def evenly(ids: Sequence[str], count: int) -> tuple[str, ...]:
    """Up to so many of the ids, evenly spread."""
    count = min(count, len(ids))
    return tuple(ids[n * len(ids) // count] for n in range(count))


def own_split(ids: Sequence[str], split: str, where: str) -> tuple[str, ...]:
    """The splits of data that brings none: `train`, `val` (a fifth, by a hash of the id) and `all`."""
    if split not in ("train", "val", "all"):
        raise BeyondcamError(f"{where}: no split {split!r}; this data has train, val and all")
    if split == "all":
        return tuple(ids)
    return tuple(i for i in ids if (_in_val(i)) == (split == "val"))


def _in_val(image_id: str) -> bool:
    return int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:4], "big") % 5 == 0
