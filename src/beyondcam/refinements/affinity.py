"""Evidence spreads to places whose features the classifier finds similar."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.refinements.base import Refinement, by_maximum


class Affinity(Refinement):
    """A random walk over the places of an image, from each to those with similar features, at any distance.

    The result is the weighted geometric mean of the map and of the map after the walk: fine as the first,
    complete as the second. The affinities take one more pass through the network, unless a map of the whole
    image at that size is needed too.

    Parameters
    ----------
    steps : of the walk.
    power : of the affinities; the higher, the fewer places count as similar.
    share : weight of the map after the walk, against the map as it was.
    size : side of the network's input, as in a perturbation.

    """

    kind: Literal["affinity"] = "affinity"
    steps: Annotated[int, Field(ge=1)] = 8
    power: Annotated[float, Field(gt=0)] = 2.0
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    size: Annotated[float, Field(gt=0)] = 1.67

    @property
    def affinity_size(self) -> float:
        """The size of the input that affinities are needed for."""
        return self.size

    def __call__(self, photo: Photo, maps: Tensor, affinities: Tensor) -> Tensor:
        """Spread maps (k, H, W) along affinities (n, n) of a square grid of n places."""
        del photo
        side = round(len(affinities) ** 0.5)
        transition = affinities.to(torch.float32, copy=True).pow_(self.power)  # (n, n)
        sums = transition.sum(1)  # so that each place takes a mean
        walked = F.interpolate(maps[None], (side, side), mode="area")[0].flatten(1)  # (k, n)
        for _ in range(self.steps):
            walked = F.linear(walked, transition).div_(sums)
        spread = F.interpolate(walked.view(1, -1, side, side), maps.shape[1:], mode="bilinear")[0]
        return by_maximum(maps) ** (1 - self.share) * by_maximum(spread) ** self.share
