"""Evidence and a threshold → a label image."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from beyondcam.data import VOID
from beyondcam.errors import BeyondcamError, shape_of
from beyondcam.evidence import (
    LEVELS,
    AdaptiveThreshold,
    Evidence,
    Threshold,
    threshold_level,
    winners_of,
    within_unit,
)


def mask(
    maps: Tensor,
    threshold: float | Literal["adaptive"] = "adaptive",
    *,
    targets: Sequence[int] | None = None,
    size: tuple[int, int] | None = None,
) -> NDArray[np.uint8]:
    """Make a mask of one picture's maps: each pixel shows the map with the most evidence, or background.

    Each map counts as a share v of its own maximum, as in stored evidence.

    Parameters
    ----------
    maps
        float (k, H, W) or (H, W), as `map_image` gives them; what is negative counts as 0.
    threshold
        as of `seed_labels`.
    targets
        the index of each map's class, for a mask that numbers classes as data sets do.
    size
        (height, width) of the mask, such as `Photo.size` of a picture that was mapped at a smaller size; by
        default that of the maps.

    Returns
    -------
    uint8 (H, W): 0 background, 1 the first map, 2 the second and so on; with `targets`, k + 1 class k.

    Raises
    ------
    BeyondcamError
        If maps have another shape or are NaN or infinite, `targets` are no classes of so many maps, or the
        threshold is not in [0, 1].

    Examples
    --------
    >>> import torch
    >>> maps = torch.tensor([[[4.0, 1.0, 0.0]], [[0.0, 1.0, 2.0]]])
    >>> mask(maps, 0.3)  # v is 1, ¼, 0 and 0, ½, 1
    array([[1, 2, 2]], dtype=uint8)
    >>> mask(maps, 0.3, targets=[7, 2])
    array([[8, 3, 3]], dtype=uint8)

    """
    maps = torch.as_tensor(maps)
    if maps.ndim not in (2, 3):
        raise BeyondcamError(f"(k, H, W) or (H, W) is needed, not {shape_of(maps)}", parameter="maps")
    stacked = maps if maps.ndim == 3 else maps[None]
    if len(stacked) >= VOID or not all(stacked.shape[1:]):
        wanted = f"fewer than {VOID} maps, with pixels"
        raise BeyondcamError(f"{wanted}, are needed, not {shape_of(maps)}", parameter="maps")
    numbers = tuple(range(len(stacked)) if targets is None else map(int, targets))
    if len({*numbers}) != len(stacked) or any(not 0 <= number < VOID - 1 for number in numbers):
        wanted = f"one class for each of {len(stacked)} maps, from 0 to {VOID - 2}"
        raise BeyondcamError(f"{wanted}, is needed, not {[*numbers]}", parameter="targets")
    height, width = size or maps.shape[-2:]
    return seed_labels(Evidence.of(stacked, numbers, (), (height, width)), threshold)


def seed_labels(
    evidence: Evidence, threshold: float | Literal["adaptive"] | Threshold, band: float = 0.0
) -> NDArray[np.uint8]:
    """Cut evidence at a threshold: each pixel becomes the class with the most evidence, or background.

    Parameters
    ----------
    evidence
        of one image.
    threshold
        τ in [0, 1], on v; or "adaptive", which finds one for each class, the lower the more of the picture
        its evidence takes.
    band
        in [0, 1]: pixels whose √v is within it of √τ are void: the field's two thresholds, (√τ ± band)².
        Pixels whose v is 0 are background all the same.

    Returns
    -------
    The seed, uint8 (H, W) at the picture's size as stored: 0 background, k class k, 255 void.

    Raises
    ------
    BeyondcamError
        If the threshold or the band is not in [0, 1].

    """
    within_unit(band, "band")
    winners = winners_of(evidence)
    if isinstance(threshold, str):
        if threshold != "adaptive":
            raise BeyondcamError(
                f"{threshold!r} is neither a number nor 'adaptive'; other rules need a whole split",
                parameter="threshold",
            )
        threshold = AdaptiveThreshold()
    threshold = threshold if isinstance(threshold, Threshold) else Threshold(threshold)
    low, high = np.zeros((2, 256), np.int64)  # levels by label
    for label, tau in zip(winners.present, threshold.values(winners.won), strict=True):
        low[label], high[label] = (threshold_level(max(0.0, tau**0.5 + side) ** 2) for side in (-band, band))
    seed = np.where(winners.levels > high[winners.labels], winners.labels, np.uint8(VOID))
    return np.where(winners.levels > low[winners.labels], seed, np.uint8(0))


def levels_of(evidence: Evidence, threshold: Threshold) -> dict[int, int]:
    """The level of √v, 0 to 255, above which each target is foreground at a threshold."""
    winners = winners_of(evidence)
    by_label = dict(zip(winners.present.tolist(), winners.won, strict=True))
    rows = [by_label.get(target + 1, np.zeros(LEVELS, np.int64)) for target in evidence.targets]
    if not rows:
        return {}
    return dict(zip(evidence.targets, threshold.levels(np.array(rows)).tolist(), strict=True))


def labels_at(evidence: Evidence, levels: Mapping[int, int]) -> NDArray[np.uint8]:
    """A label image (H, W), as `seed_labels` makes it, with a level of its own for each target.

    Targets without a level are switched off: what they win goes to the target with the next most evidence.
    """
    on = [k for k, target in enumerate(evidence.targets) if target in levels]
    targets = tuple(evidence.targets[k] for k in on)
    winners = winners_of(replace(evidence, levels=evidence.levels[on], targets=targets))
    highest = np.zeros(256, np.int64)  # by label
    for target in targets:
        highest[target + 1] = levels[target]
    return np.where(winners.levels > highest[winners.labels], winners.labels, np.uint8(0))
