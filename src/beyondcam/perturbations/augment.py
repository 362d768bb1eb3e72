"""Augmentation: the one random view of an image that an epoch of training shows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from beyondcam.perturbations.view import View

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


def augmented(
    rng: np.random.Generator, height: int, width: int, side: int, area: tuple[float, float], *, flip: bool
) -> View:
    """A random window of the image, mirrored half of the time with `flip`, brighter or darker.

    Its area is a share of the image's in the range `area`, its aspect the image's but for a third.
    """
    share = rng.uniform(*area)
    aspect = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
    h = min(height, max(1, round(height * math.sqrt(share / aspect))))
    w = min(width, max(1, round(width * math.sqrt(share * aspect))))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    gain, shift = rng.uniform(0.8, 1.25), rng.uniform(-0.2, 0.2)

    def alter(x: Tensor) -> Tensor:
        return x * gain + shift

    return View((top, left, top + h, left + w), side, flip and bool(rng.random() < 0.5), alter)
