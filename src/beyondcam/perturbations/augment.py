"""Augmentation: the one random view of an image that an epoch of training shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from beyondcam.perturbations.view import View

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def _shares(area: tuple[float, float]) -> tuple[float, float]:
    if not 0 <= area[0] <= area[1] <= 1:
        raise ValueError("two shares from 0 to 1 are needed, the lower one first")
    return area


Area = Annotated[tuple[float, float], AfterValidator(_shares)]
"""Least and most area of the windows that `augmented` draws, as shares of the image's."""


def augmented(
    rng: np.random.Generator, height: int, width: int, side: int, area: tuple[float, float], *, flip: bool
) -> View:
    """Draw a random window of an image, with random contrast and brightness, mirrored if `flip` and a coin.

    The window's area is a share of the image's, drawn from the range `area`, and its aspect ratio 3/4 to 4/3
    times the image's. What would lie beyond the image is cut off: a large window may be below its share.
    """
    share = rng.uniform(*area)
    aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    h = min(height, max(1, round(height * math.sqrt(share / aspect))))
    w = min(width, max(1, round(width * math.sqrt(share * aspect))))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    contrast, brightness = rng.uniform(0.8, 1.25), rng.uniform(-0.2, 0.2)

    def alter(x: Tensor) -> Tensor:
        return x * contrast + brightness

    return View((top, left, top + h, left + w), side, flip and bool(rng.random() < 0.5), alter)
