"""The canvas: where the maps of an image's views are added up."""

import torch
import torch.nn.functional as F
from torch import Tensor

from beyondcam.perturbations import View
from beyondcam.recipes.item import Item
from beyondcam.recipes.recipe import Statistic

POWERS: dict[Statistic, tuple[int, ...]] = {"mean": (1,), "square": (2,), "variance": (1, 2)}
"""The powers of maps whose means a statistic is made of."""

Place = tuple[tuple[int, int, int, int], int, bool]
"""Window, size and flip of a view."""


class Canvas:
    """Sums, over the views of an image, of one or two powers of its k targets' maps, at the photo's size."""

    def __init__(self, item: Item, statistic: Statistic, device: torch.device) -> None:
        size = (item.photo.height, item.photo.width)
        self.powers = POWERS[statistic]
        self.sums = torch.zeros(len(self.powers), len(item.targets), *size, device=device)
        self.views = torch.zeros(size, device=device)
        """How many views cover each pixel."""
        self.pending: tuple[Place, Tensor, int] | None = None

    def add(self, view: View, maps: Tensor) -> None:
        """Add the maps (k, h, w) of a view.

        Successive views of the same window are summed before they are resized, where their sum is all that is
        asked for: resizing commutes with sums, but not with squares.
        """
        place = view.window, view.size, view.flip
        maps = maps if view.factor == 1 else maps * view.factor
        if self.pending and self.pending[0] == place and self.powers == (1,):
            _, total, views = self.pending
            self.pending = (place, total.add_(maps), views + 1)
        else:
            self._flush()
            self.pending = (place, maps.clone(), 1)

    def _flush(self) -> None:
        """Resize the pending maps to their window, bilinearly, and add them."""
        if not self.pending:
            return
        ((top, left, bottom, right), _, flip), maps, views = self.pending
        maps = maps.flip(-1) if flip else maps
        window = F.interpolate(maps[None], (bottom - top, right - left), mode="bilinear", antialias=True)[0]
        for total, power in zip(self.sums, self.powers, strict=True):  # (k, H, W)
            total[:, top:bottom, left:right] += window if power == 1 else window**power
        self.views[top:bottom, left:right] += views
        self.pending = None

    def statistic(self) -> Tensor:
        """The statistic over the views that cover a pixel, 0 elsewhere: float32 (k, H, W)."""
        self._flush()
        first, *second = self.sums / self.views.clamp_min(1)
        return (second[0] - first**2).clamp_min(0) if second else first

    def uncovered(self) -> float:
        """The share of the pixels that no view covers."""
        self._flush()
        return float((self.views == 0).float().mean())
