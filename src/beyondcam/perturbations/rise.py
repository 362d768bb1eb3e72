"""RISE's masks (Petsiuk et al. 2018, arXiv 1806.07421)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from beyondcam.perturbations.base import Count
from beyondcam.perturbations.mask import Masking

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class Rise(Masking):
    """n copies, each multiplied by a smooth random mask: a grid of cells, resized and shifted at random.

    With the map `visible` and the weight `score`, the mean over the views is the paper's
    Σ_i s_c(x ⊙ m_i) m_i / (n · E[m]), with the class's probability as s_c.

    Parameters
    ----------
    cells : cells of the grid along each side.
    rate : probability that a cell is shown; E[m].

    """

    kind: Literal["rise"] = "rise"
    n: Count = 512
    cells: Count = 7
    rate: Annotated[float, Field(gt=0, lt=1)] = 0.5

    @property
    def factor(self) -> float:
        """Divides by the expected mask."""
        return 1 / self.rate

    def mask(self, height: int, width: int, rng: np.random.Generator) -> Tensor:
        """Draw a mask (height, width) in [0, 1]."""
        import torch
        import torch.nn.functional as F

        grid = torch.from_numpy(rng.random((self.cells, self.cells)) < self.rate)[None, None].float()
        down, across = -(-height // self.cells), -(-width // self.cells)  # pixels of a cell, rounded up
        size = ((self.cells + 1) * down, (self.cells + 1) * across)
        smooth = F.interpolate(grid, size, mode="bilinear")[0, 0]
        top, left = int(rng.integers(down)), int(rng.integers(across))
        return smooth[top : top + height, left : left + width]
