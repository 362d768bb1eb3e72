"""Evidence spreads to places that the classifier itself finds alike."""

from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.refinements.base import Refinement, by_maximum


class Affinity(Refinement):
    """A random walk over the places of an image, from each to those whose features are alike, far or near.

    A map becomes the weighted geometric mean of itself and of where the walk takes it: fine as the one,
    complete as the other. This refinement asks the network for affinities: one more pass, but
    where a map of the whole image at that size is asked for too.

    Parameters
    ----------
    steps : of the walk.
    power : of the affinities; the higher, the fewer places are alike.
    share : weight of what was walked to, against the map as it was.
    size : side of the network's input, as of a perturbation.

    """

    kind: Literal["affinity"] = "affinity"
    steps: Annotated[int, Field(ge=1)] = 8
    power: Annotated[float, Field(gt=0)] = 2.0
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    size: Annotated[float, Field(gt=0)] = 1.67

    @property
    def asks(self) -> float:
        """The size at which affinities are asked of the network."""
        return self.size

    def __call__(self, photo: Photo, maps: Tensor, affinities: Tensor) -> Tensor:
        """Spread maps (k, H, W) along affinities (n, n) of a square grid of n places."""
        del photo
        side = round(len(affinities) ** 0.5)
        steps = affinities.float() ** self.power
        steps /= steps.sum(1, keepdim=True)
        walked = F.interpolate(maps[None], (side, side), mode="area")[0].flatten(1).T
        for _ in range(self.steps):
            walked = steps @ walked
        back = F.interpolate(walked.T.reshape(1, -1, side, side), maps.shape[1:], mode="bilinear")[0]
        return by_maximum(maps) ** (1 - self.share) * by_maximum(back) ** self.share
