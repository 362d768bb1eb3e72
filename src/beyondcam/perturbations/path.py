"""The path of integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from operator import mul
from typing import Literal

from beyondcam.perturbations.base import Count, Perturbation, Size, pixels
from beyondcam.perturbations.view import View


class LinearPath(Perturbation):
    """The whole image αx at points α along the line from 0, the mean colour, to the input x.

    The integral ∫ x · ∂s_c(αx)/∂x dα is the mean of (αx) · ∂s_c(αx)/∂x · 1/α over the points, since the map
    input × gradient multiplies by what the network is shown, αx. The points are the middles of `steps` equal
    parts of the line (captum's `riemann_middle`). Other maps are averaged with the same factors 1/α.

    Parameters
    ----------
    steps : number of points.
    size : side of the network's input.

    """

    kind: Literal["path"] = "path"
    steps: Count = 32
    size: Size = 1.0

    def views(self, image_id: str, height: int, width: int, side: int, seed: int) -> Iterator[View]:
        """Yield the image at every point."""
        del image_id, seed
        for i in range(self.steps):
            alpha = (i + 0.5) / self.steps
            yield View(
                (0, 0, height, width), pixels(self.size, side), alter=partial(mul, alpha), factor=1 / alpha
            )
