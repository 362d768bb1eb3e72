"""Label images, maps and probabilities of any program, as files that are named after their images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from beyondcam.data.mask_file import read_mask
from beyondcam.decode import read_npy
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import finest_maps
from beyondcam.files import path_below


class Prediction(NamedTuple):
    """What a file says of an image.

    `labels` uint8 (H, W) are 0 for background and k for class k; where the file holds maps, they are of the
    class with the highest value, whatever it is, and `values` float32 (H, W) are these.
    """

    labels: NDArray[np.uint8]
    values: NDArray[np.float32] | None


def read_prediction(
    folder: Path, image_id: str, size: tuple[int, ...], classes: Sequence[str], known: Sequence[str]
) -> Prediction:
    """The prediction in `folder/ID.png` or `ID.npy` for an image whose mask has this (height, width).

    Its classes are numbered as in `known`, and `classes` are those wanted: maps and probabilities of others
    are passed over, and what is labelled as one of them is background. Raises `BeyondcamError`, which names
    the file; also where it numbers a class that is not known.
    """
    npy = path_below(folder, image_id, ".npy")
    path = npy if npy.exists() else path_below(folder, image_id, ".png")
    if not path.exists():
        raise BeyondcamError(f"{folder}: has no {image_id}.png or .npy")
    content = read_npy(path) if path == npy else read_mask(path).numpy()
    number_of = {known.index(name) + 1: n for n, name in enumerate(classes, start=1)}  # theirs → ours
    try:
        numbers, found = _maps_or_labels(content, len(known), sorted(number_of))
    except (LookupError, TypeError, ValueError) as error:
        raise BeyondcamError(f"{path}: holds neither labels nor maps ({error})") from None
    if found.shape[-2:] != size and (numbers is None or len(numbers)):
        (height, width), (h, w) = size, found.shape[-2:]
        raise BeyondcamError(f"{path}: is {w}×{h}, its mask {width}×{height}; resize it beforehand")
    if numbers is None:
        return Prediction(_renumbered(path, found, number_of, len(known)), None)
    if strays := [number - 1 for number in numbers if not 1 <= number <= len(known)]:
        raise BeyondcamError(f"{path}: key {strays[0]} is of no class; of {len(known)} they count from 0")
    if not np.isfinite(found).all():
        raise BeyondcamError(f"{path}: its maps hold values that are not finite")
    kept = sorted((number_of[number], k) for k, number in enumerate(numbers) if number in number_of)
    if not kept:
        return Prediction(np.zeros(size, np.uint8), np.full(size, -np.inf, np.float32))
    maps = found[[k for _, k in kept]].astype(np.float32)
    winner = maps.argmax(0)  # ties go to the lower class
    labels = np.array([number for number, _ in kept], np.uint8)[winner]
    return Prediction(labels, np.take_along_axis(maps, winner[None], 0)[0])


def _maps_or_labels(
    content: Mapping[Any, Any] | NDArray[Any], known: int, wanted: Sequence[int]
) -> tuple[Sequence[int] | None, NDArray[Any]]:
    """The numbers of maps and these (k, H, W), or None and labels (H, W). Raises `ValueError`, say.

    Of probabilities the label is the likeliest of background and the numbers `wanted`.
    """
    if isinstance(content, Mapping):
        if "keys" in content:  # IRN's
            maps = finest_maps(content)
            numbers = [int(key) + 1 for key in content["keys"]]
        else:  # SEAM's
            numbers = [int(key) + 1 for key in content]
            maps = np.stack(list(content.values())) if content else np.zeros((0, 0, 0))
        if np.ndim(maps) != 3 or len(maps) != len(numbers):
            raise ValueError("a map (H, W) for each key is needed")
        return numbers, maps
    if content.ndim == 2 and content.dtype.kind in "iub":
        return None, content
    if content.ndim == 2:
        raise ValueError(f"labels (H, W) are whole numbers, not {content.dtype}")
    if content.ndim != 3 or len(content) not in (known, known + 1):
        raise ValueError(f"{content.shape} is not ({known} or {known} + 1, H, W)")
    if len(content) == known:
        return range(1, known + 1), content
    if not np.isfinite(content).all():
        raise ValueError("some values are not finite")
    with_background = np.array([0, *wanted])  # as probabilities have it, which comes first
    return None, with_background[content[with_background].argmax(0)]


def _renumbered(
    path: Path, labels: NDArray[Any], number_of: Mapping[int, int], known: int
) -> NDArray[np.uint8]:
    """Labels by our numbers, 0 where we have none. Raises `BeyondcamError` for those of no class, as void."""
    numbers, places = np.unique(labels, return_inverse=True)
    if strays := [n for n in numbers.tolist() if not 0 <= n <= known]:
        raise BeyondcamError(f"{path}: label {strays[0]} is of no class; every pixel needs one, or 0")
    return np.array([number_of.get(n, 0) for n in numbers.tolist()], np.uint8)[places.reshape(labels.shape)]
