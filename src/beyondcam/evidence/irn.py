"""The `.npy` files of IRN (Ahn et al. 2019, arXiv 1904.05044) and the code that grew from it.

Each holds a pickled dict of one image: `keys`, the classes from 0; `cam`, their maps at a quarter of the
image's size; `high_res`, at its size (`attn_highres` in CLIP-ES, arXiv 2212.09506). Nothing in a file is run
(`beyondcam.decode.pickled`).
"""

import io
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from beyondcam.data import LabelledImages
from beyondcam.decode import read_pickled
from beyondcam.errors import BeyondcamError
from beyondcam.evidence.levels import LEVELS, Evidence
from beyondcam.evidence.store import open_shelf, write_evidence
from beyondcam.files import path_below
from beyondcam.outcome import Outcome
from beyondcam.progress import each


def read_irn(path: Path, size: tuple[int, int], class_of: Mapping[int, int]) -> Evidence:
    """The evidence of an image of (height, width) `size`; `class_of` takes the file's classes to ours.

    Classes that are not in it are left out. Raises `BeyondcamError`, also where the maps are neither of the
    photo's shape, at any scale, nor square, as a network's input.
    """
    content = read_pickled(path)
    try:
        maps = dict(zip((int(key) for key in content["keys"]), _maps(content, size), strict=True))
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise BeyondcamError(f"{path}: holds no keys with a map each ({error})") from error
    kept = sorted((class_of[key], key) for key in maps if key in class_of)
    chosen = torch.tensor(np.stack([maps[key] for _, key in kept])) if kept else torch.zeros(0, *size)
    if not chosen.isfinite().all():
        raise BeyondcamError(f"{path}: its maps hold values that are not finite")
    if chosen.shape[1:] != size:
        chosen = F.interpolate(chosen[None], size, mode="bilinear")[0]
    targets = tuple(c for c, _ in kept)
    return Evidence.of(chosen.clamp_min(0), targets, (), size)


def import_irn(
    run: Path, images: LabelledImages, known: Sequence[str], folder: Path, name: str
) -> dict[str, str]:
    """Take `folder/ID.npy` as the evidence of the recipe `name`; `known` are the classes that keys count.

    Of an image's keys those are kept that are among its labels, each of which must have one. Returns the
    images left out, with the reason; evidence of these from an earlier import is deleted.
    """
    if not folder.is_dir():
        raise BeyondcamError(f"{folder}: no such folder of .npy files")
    if strays := [c for c in images.classes if c not in known]:
        raise BeyondcamError(f"lacks {strays[0]}", parameter="known")
    shelf = open_shelf(
        run, images, targets="labels", precision="float32", name=name,
        recipe=f"{name}, read from .npy files", seed=0,
    )  # fmt: skip
    class_of = {known.index(c): n for n, c in enumerate(images.classes)}

    def take(image_id: str) -> None:
        labels = images.labels.get(image_id)
        if labels is None:
            raise BeyondcamError(images.unlabelled.get(image_id, "no label"))
        labelled = {key: c for key, c in class_of.items() if c in labels}
        path, photo = path_below(folder, image_id, ".npy"), images.read(image_id)
        evidence = read_irn(path, photo.size, labelled)
        if lacking := sorted(set(labels) - set(evidence.targets)):
            raise BeyondcamError(f"{path}: has no map of {images.classes[lacking[0]]}, a label of the image")
        write_evidence(shelf, image_id, evidence, photo.file)

    left_out = Outcome.of(each(take, images.ids, f"import {images.split}")).left_out
    for i in left_out:
        shelf.path(i).unlink(missing_ok=True)
    return left_out


def irn_bytes(evidence: Evidence, key_of: Sequence[int]) -> bytes:
    """A file of an image's evidence v: `keys` int64 (k,), `high_res` float32, `cam` a float32 tensor.

    The last is what IRN's random walk takes. `key_of` takes our classes to the file's.
    """
    v = torch.from_numpy((evidence.levels / np.float32(LEVELS - 1)) ** 2)

    def resized(size: tuple[int, ...]) -> NDArray[np.float32]:
        if not len(v):  # of which torch makes nothing
            return np.zeros((0, *size), np.float32)
        return F.interpolate(v[None], size, mode="bilinear", antialias=True)[0].numpy()

    content = {
        "keys": np.array([key_of[c] for c in evidence.targets], np.int64),
        "cam": torch.from_numpy(resized(tuple((side + 3) // 4 for side in evidence.size))),
        "high_res": resized(evidence.size),
    }
    array, out = np.array(content, object), io.BytesIO()
    np.lib.format.write_array_header_1_0(out, np.lib.format.header_data_from_array_1_0(array))
    pickled = pickle.dumps(array, protocol=3)
    # NumPy's name before version 2, which all versions know, as that of IRN's time
    return out.getvalue() + pickled.replace(b"cnumpy._core.multiarray\n", b"cnumpy.core.multiarray\n")


def finest_maps(content: Mapping[str, Any]) -> Any:
    """Of a file's maps those at the image's size, if any. Raises `KeyError`."""
    return content[next((name for name in ("high_res", "attn_highres") if name in content), "cam")]


def _maps(content: Mapping[str, Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Maps (k, h, w), the finer ones if any. Raises `ValueError` where they are not of such a photo."""
    maps = finest_maps(content)
    if not isinstance(maps, np.ndarray) or maps.ndim != 3 or not maps.shape[1] * maps.shape[2]:
        raise ValueError("its maps are no array (k, h, w)")
    (h, w), (height, width) = maps.shape[1:], size
    if h != w and abs(h / height - w / width) > 1 / height + 1 / width:
        raise ValueError(f"its maps are {w}×{h}, the photo {width}×{height}; were they turned?")
    return maps.astype(np.float32)
