"""Index masks as tensors. Training and maps do not use this; `voc` does, for labels that only masks tell."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beyondcam.data.palette import PALETTE
from beyondcam.decode import MAX_PIXELS, read_index_picture

_VALUES = {tuple(PALETTE[3 * value : 3 * value + 3]): value for value in range(256)}
"""Of VOC's colours."""

MAX_LABELS = 2**30
"""Pixels of the largest label image that this package has written."""


def read_mask(path: str | PathLike[str], max_pixels: int = MAX_PIXELS) -> Tensor:
    """Read an index mask as uint8 (H, W): the values as stored, of a palette, grey or bilevel picture.

    The colours count, not the values, where the palette is VOC's in another order: programs that drop unused
    colours leave it so. Raises `BeyondcamError`, also where it has more than `max_pixels`.
    """
    values, palette = read_index_picture(Path(path), max_pixels)
    if palette is not None and not _is_vocs(palette):
        meant = [_VALUES.get(tuple(palette[n : n + 3])) for n in range(0, len(palette), 3)]
        used = [meant[v] if v < len(meant) else None for v in np.unique(values)]
        if None not in meant and None not in used and len(set(used)) == len(used):
            values = np.array(meant, np.uint8)[values]
    return torch.from_numpy(values)


def _is_vocs(palette: Sequence[int]) -> bool:
    """Whether a palette, flat RGB, is the beginning of VOC's, which some programs fill up with black."""
    colours = [*palette]
    while colours[-3:] == [0, 0, 0]:
        del colours[-3:]
    return colours == PALETTE[: len(colours)]


def read_label_image(path: Path) -> NDArray[np.uint8]:
    """The label image (H, W) in a file of this package: 0 background, k class k, 255 void."""
    return read_mask(path, MAX_LABELS).numpy()
