"""A view: what one forward pass is shown of an image, and where its map belongs."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # settings hold perturbations, and are read before numpy and torch are loaded
    import numpy as np
    from torch import Tensor


class View(NamedTuple):
    """One perturbed copy of an image.

    Attributes
    ----------
    window : (top, left, bottom, right) in pixels of the photo, the last two exclusive.
    size : side of the square that the window is resized to, pixels.
    flip : mirrored left to right.
    alter : changes the normalised input (3, size, size), or None.
    mask : float (size, size) in [0, 1], multiplied with the normalised input after that, or None.
    factor : what the view's map is multiplied by before maps are averaged.

    """

    window: tuple[int, int, int, int]
    size: int
    flip: bool = False
    alter: Callable[[Tensor], Tensor] | None = None
    mask: Tensor | None = None
    factor: float = 1.0

    def cut(self, pixels: Tensor) -> Tensor:
        """Resize the window of a photo's pixels, uint8 (3, H, W) on a CPU, to (3, size, size)."""
        import torch
        import torch.nn.functional as F

        top, left, bottom, right = self.window
        # uint8 and channels-last is torch's fast path for antialiased resizing on a CPU
        window = pixels[None, :, top:bottom, left:right].contiguous(memory_format=torch.channels_last)
        square = F.interpolate(window, (self.size, self.size), mode="bilinear", antialias=True)[0]
        return square.flip(-1) if self.flip else square

    def altered(self, x: Tensor) -> Tensor:
        """Apply the view's changes to a normalised input (3, size, size)."""
        x = self.alter(x) if self.alter else x
        return x if self.mask is None else x * self.mask.to(x.device, x.dtype)


def cut_at_once(pixels: Tensor, views: Sequence[View]) -> Tensor:
    """Cut views of one size from a photo's pixels (3, H, W): float32 (m, 3, size, size), whole numbers.

    A window is resized by one product with a matrix for each axis. They are as large as the photo, which a
    GPU minds less than being asked for one view after the other. After each axis it is rounded, as `View.cut`
    does, whose arithmetic is of bytes: some maps change visibly with less.
    """
    import torch

    size, device = views[0].size, pixels.device
    top, left, bottom, right = torch.tensor([view.window for view in views], device=device).T
    down = _resizing(top, bottom, size, pixels.shape[1])  # (m, size, H)
    across = _resizing(left, right, size, pixels.shape[2])  # (m, size, W)
    flip = torch.tensor([view.flip for view in views], device=device)
    across = torch.where(flip[:, None, None], across.flip(1), across)
    return (down[:, None] @ (pixels.float() @ across[:, None].mT).round_()).round_()


def _resizing(first: Tensor, last: Tensor, size: int, extent: int) -> Tensor:
    """Bilinear, antialiased resizing of pixels `first` up to `last` (m,), as matrices (m, size, extent)."""
    import torch

    scale = ((last - first) / size)[:, None, None]  # pixels of the photo to one of the square
    centre = first[:, None, None] + scale * (torch.arange(size, device=first.device)[:, None] + 0.5)
    place = torch.arange(extent, device=first.device)  # (extent,)
    weight = (1 - (place + 0.5 - centre).abs() / scale.clamp_min(1)).clamp_min(0)
    inside = (place >= first[:, None, None]) & (place < last[:, None, None])
    weight = weight * inside
    return weight / weight.sum(-1, keepdim=True)


def generator(seed: int, *words: object) -> np.random.Generator:
    """Make a random stream that depends on its arguments alone, the same on every machine."""
    import numpy as np

    digest = hashlib.sha256("\0".join(map(str, (seed, *words))).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))
