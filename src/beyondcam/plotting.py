"""A picture of maps over their photo."""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError
from beyondcam.library import Picture, as_photo
from beyondcam.refinements import by_maximum

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


DPI = 110


def height_of(photo: Photo) -> float:
    """The height of a row of pictures of a photo, with their titles, where each is three inches wide."""
    return min(3.0 * photo.height / photo.width, 12.0) + 0.35


def draw_over(axis: "Axes", pixels: NDArray[np.uint8], levels: Tensor) -> None:
    """Draw levels (H, W) from 0 to 1 over the grey of a photo (H, W, 3)."""
    axis.imshow(pixels.mean(-1), cmap="gray", alpha=0.5)
    axis.imshow(levels.numpy(), cmap="inferno", alpha=0.75, vmin=0, vmax=1)


def plot(
    image: Picture, maps: Tensor, names: Sequence[str] | str = (), out: str | PathLike[str] | None = None
) -> "Figure":
    """Draw a picture and, beside it, each map over it, the square root of its share of its maximum.

    Parameters
    ----------
    image
        as of `map_image`.
    maps
        float (k, H, W) or (H, W), as `map_image` gives them; of another size they are resized.
    names
        a title for each map.
    out
        a file to write, PNG, PDF or SVG by its name.

    Returns
    -------
    matplotlib's figure, which notebooks show by themselves.

    Raises
    ------
    BeyondcamError
        Where there are more or fewer names than maps, or the file cannot be written.

    """
    from matplotlib.figure import Figure

    photo, maps = as_photo(image), torch.as_tensor(maps)
    maps = maps[None] if maps.ndim == 2 else maps
    if not len(maps):
        raise BeyondcamError("there is none to draw", parameter="maps")
    titles = [names] if isinstance(names, str) else [*names] or [""] * len(maps)
    if len(titles) != len(maps):
        raise BeyondcamError(f"{len(titles)} for {len(maps)} maps; give one for each", parameter="names")
    size = photo.height, photo.width
    shown = F.interpolate(maps.detach().float().cpu()[None], size, mode="bilinear")[0]  # (k, H, W)
    pixels = photo.pixels.permute(1, 2, 0).numpy()
    figure = Figure((3 * (1 + len(shown)), height_of(photo)), layout="constrained")
    first, *others = figure.subplots(1, 1 + len(shown), squeeze=False)[0]
    first.imshow(pixels)
    for axis, title, levels in zip(others, titles, by_maximum(shown.clamp_min(0)).sqrt(), strict=True):
        draw_over(axis, pixels, torch.nan_to_num(levels))
        axis.set_title(title, parse_math=False)
    for axis in (first, *others):
        axis.set_axis_off()
    if out is not None:
        try:
            figure.savefig(out, dpi=DPI)
        except (OSError, ValueError) as error:
            raise BeyondcamError(f"{out}: could not be written ({error})", parameter="out") from None
    return figure
