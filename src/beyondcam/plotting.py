"""A picture of maps over their photo."""

from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from beyondcam.errors import BeyondcamError
from beyondcam.library import Picture, as_photo
from beyondcam.refinements import by_maximum

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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

    photo = as_photo(image)
    maps = maps[None] if maps.ndim == 2 else maps
    titles = [names] if isinstance(names, str) else [*names] or [""] * len(maps)
    if len(titles) != len(maps):
        raise BeyondcamError(f"{len(titles)} for {len(maps)} maps; give one for each", parameter="names")
    size = photo.height, photo.width
    shown = F.interpolate(maps.detach().float().cpu()[None], size, mode="bilinear")[0]  # (k, H, W)
    pixels = photo.pixels.permute(1, 2, 0).numpy()
    figure = Figure(
        (3 * (1 + len(shown)), min(3.0 * photo.height / photo.width, 12.0) + 0.35), layout="constrained"
    )
    first, *others = figure.subplots(1, 1 + len(shown), squeeze=False)[0]
    first.imshow(pixels)
    for axis, title, levels in zip(others, titles, by_maximum(shown.clamp_min(0)).sqrt(), strict=True):
        axis.imshow(pixels.mean(-1), cmap="gray", alpha=0.5)
        axis.imshow(torch.nan_to_num(levels).numpy(), cmap="inferno", alpha=0.75, vmin=0, vmax=1)
        axis.set_title(title, parse_math=False)
    for axis in (first, *others):
        axis.set_axis_off()
    if out is not None:
        try:
            figure.savefig(out, dpi=110)
        except (OSError, ValueError) as error:
            raise BeyondcamError(f"{out}: could not be written ({error})", parameter="out") from None
    return figure
