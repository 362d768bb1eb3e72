"""A centre prior: what is worth beating. It sees neither the photo nor the network."""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor

from beyondcam.maps.base import Map
from beyondcam.maps.forward import Forward


class Centre(Map):
    """exp(-(x² + y²) / 2σ²), x and y from -1 to 1 across the view: things stand in the middle of photos.

    It is the same for every photo and class, so no map is good that is not better. Photographers' bias
    towards the centre is measured in Tatler 2007 (doi 10.1167/7.14.4).

    Parameters
    ----------
    sigma : σ, in halves of the view's side.

    Examples
    --------
    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 64, 64)
    >>> centre = bc.map_batch(classifier, inputs, ["golden retriever"], "centre")
    >>> bool(centre[0, 32, 32] > centre[0, 0, 32] > centre[0, 0, 0])
    True

    """

    kind: Literal["centre"] = "centre"
    sigma: Annotated[float, Field(gt=0)] = 0.5

    def __call__(self, forward: Forward) -> Tensor:
        """Maps (P, H, W) at the input's resolution."""
        down, across = (
            torch.exp(-(((2 * torch.arange(side) + 1) / side - 1) ** 2) / (2 * self.sigma**2))
            for side in forward.inputs.shape[2:]
        )
        prior = torch.outer(down, across).to(forward.inputs)  # (H, W)
        return prior.repeat(len(forward.rows), 1, 1)
