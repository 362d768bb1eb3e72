"""The `.npy` files of IRN (Ahn et al. 2019, arXiv 1904.05044) and the code that grew from it.

Each holds a pickled dict of one image: `keys`, the classes from 0; `cam`, their maps at a quarter of the
image's size; `high_res`, at its size. A pickle can run any code, so these are read through an unpickler that
knows only the names such a file needs; what torch left in it goes through `torch.load(weights_only=True)`.
Files written here hold plain arrays; numpy 1.26 and newer read them.
"""

import io
import math
import pickle
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.lib import format as npy
from numpy.typing import NDArray
from torch import Tensor

from beyondcam.data import LabelledImages
from beyondcam.errors import BeyondcamError
from beyondcam.evidence.store import LEVELS, Evidence, open_shelf, write_evidence
from beyondcam.files import ahead
from beyondcam.progress import track


class _Dtype:
    """What a pickle says of an array's dtype: numbers or objects, and the order of their bytes.

    Numpy's own takes any state, even one by which it reads an array's bytes as the addresses of objects.
    """

    def __init__(self, code: str, *_: object) -> None:
        if code != "O8" and not re.fullmatch("b1|[iu][1248]|f[248]", code):
            raise pickle.UnpicklingError(f"an array of {code!r}, which no such file needs")
        self.code, self.big_endian = code, False

    def __setstate__(self, state: Sequence[Any]) -> None:
        self.big_endian = state[1] == ">"


class _Array:
    """A pickled array: `value` once its state is set, for one of objects their flat list."""

    def __init__(self, *_: object) -> None:
        self.value: Any = None

    def __setstate__(self, state: Sequence[Any]) -> None:
        _, shape, dtype, fortran, content = state
        if dtype.code == "O8":
            self.value = list(content)
        else:
            flat = np.frombuffer(content, (">" if dtype.big_endian else "<") + dtype.code).astype(dtype.code)
            self.value = flat.reshape(shape, order="F" if fortran else "C")


_NAMES: Mapping[tuple[str, str], Any] = {
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    ("numpy", "ndarray"): None,  # an argument of `_reconstruct`
    ("numpy", "dtype"): _Dtype,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch.storage", "_load_from_bytes"): lambda content: torch.load(
        io.BytesIO(content), map_location="cpu", weights_only=True
    ),
    ("collections", "OrderedDict"): OrderedDict,
}
"""All that a file may name, and what is called for it."""


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which no such file needs")
        return _NAMES[module, name]


def read_irn(path: Path, size: tuple[int, int], class_of: Mapping[int, int]) -> Evidence:
    """The evidence of an image of (height, width) `size`; `class_of` takes the file's classes to ours.

    Classes that are not in it are left out. Raises `BeyondcamError`.
    """
    content = _read(path)
    try:
        maps = dict(zip((int(key) for key in content["keys"]), _maps(content), strict=True))
        own = sorted((class_of[key], key) for key in maps if key in class_of)
        chosen = torch.stack([maps[key] for _, key in own]) if own else torch.zeros(0, *size)
        if chosen.shape[1:] != size:
            chosen = F.interpolate(chosen[None], size, mode="bilinear")[0]
    except (LookupError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise BeyondcamError(f"{path}: holds no keys with a map each ({error!r})") from None
    if not chosen.isfinite().all():
        raise BeyondcamError(f"{path}: its maps hold values that are not finite")
    targets = tuple(c for c, _ in own)
    return Evidence.of(chosen.clamp_min(0), targets, (math.nan,) * len(targets), size)


def import_irn(
    run: Path, images: LabelledImages, known: Sequence[str], folder: Path, name: str
) -> dict[str, str]:
    """Take up `folder/ID.npy` as the evidence of the recipe `name`; `known` are the classes that keys count.

    Of an image's keys those are kept that are among its labels, each of which must have one. Returns the
    images left out, with the reason; what an earlier import has of these goes.
    """
    if not folder.is_dir():
        raise BeyondcamError(f"{folder}: no such folder of .npy files")
    shelf = open_shelf(
        run, images, targets="labels", precision="float32", name=name,
        recipe=f"{name}, read from .npy files", seed=0,
    )  # fmt: skip
    class_of = {known.index(c): n for n, c in enumerate(images.classes)}

    def take(image_id: str) -> str | None:
        labels = images.labels.get(image_id)
        if labels is None:
            return images.unlabelled.get(image_id, "no label")
        own = {key: c for key, c in class_of.items() if c in labels}
        try:
            path, size = folder / f"{image_id}.npy", images.read(image_id).size
            evidence = read_irn(path, size, own)
            if lacking := sorted(set(labels) - set(evidence.targets)):
                return f"{path}: has no map of {images.classes[lacking[0]]}, a label of the image"
            write_evidence(shelf, image_id, evidence)
        except BeyondcamError as error:
            return str(error)
        return None

    reasons = track(ahead(take, images.ids), f"import {images.split}", len(images.ids))
    left_out = {i: reason for i, reason in zip(images.ids, reasons, strict=True) if reason}
    for i in left_out:
        shelf.path(i).unlink(missing_ok=True)
    return left_out


def irn_bytes(evidence: Evidence, key_of: Sequence[int]) -> bytes:
    """A file of an image's evidence v: `keys` int64 (k,), `cam` and `high_res` float32.

    `key_of` takes our classes to the file's.
    """
    v = torch.from_numpy((evidence.levels / np.float32(LEVELS - 1)) ** 2)

    def resized(size: tuple[int, ...]) -> NDArray[np.float32]:
        if not len(v):  # of which torch makes nothing
            return np.zeros((0, *size), np.float32)
        return F.interpolate(v[None], size, mode="bilinear")[0].numpy()

    content = {
        "keys": np.array([key_of[c] for c in evidence.targets], np.int64),
        "cam": resized(tuple((side + 3) // 4 for side in evidence.size)),
        "high_res": resized(evidence.size),
    }
    out = io.BytesIO()
    np.save(out, np.array(content, object), allow_pickle=True)
    return out.getvalue()


def _read(path: Path) -> Mapping[str, Any]:
    """The dict in a file, nothing in it having been run."""
    headers: Mapping[tuple[int, int], Callable[[Any], tuple[Any, bool, np.dtype[Any]]]] = {
        (1, 0): npy.read_array_header_1_0,
        (2, 0): npy.read_array_header_2_0,
    }
    try:
        with path.open("rb") as file:
            shape, _, dtype = headers[npy.read_magic(file)](file)
            if shape or dtype.kind != "O":
                raise ValueError("it holds no dict")
            (content,) = _Unpickler(file).load().value
    except FileNotFoundError:
        raise BeyondcamError(f"{path}: no such file") from None
    except Exception as error:  # numpy, pickle and torch raise what they like on a broken file
        raise BeyondcamError(f"{path}: not an .npy file of IRN's kind ({error})") from None
    if not isinstance(content, dict):
        raise BeyondcamError(f"{path}: not an .npy file of IRN's kind (it holds no dict)")
    return {name: part.value if isinstance(part, _Array) else part for name, part in content.items()}


def _maps(content: Mapping[str, Any]) -> Tensor:
    """Maps (k, h, w), the finer ones where there are any."""
    return torch.as_tensor(content["high_res" if "high_res" in content else "cam"]).detach().float()
