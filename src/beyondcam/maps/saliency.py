"""Gradient saliency (Simonyan et al. 2014, arXiv 1312.6034)."""

from typing import Literal

from torch import Tensor

from beyondcam.maps.base import Map
from beyondcam.maps.forward import Forward, Needs


class Saliency(Map):
    """max_ch |∂s_c/∂x|: how much the score changes with a pixel, in the colour channel where it does most.

    Examples
    --------
    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 224, 224)
    >>> bc.map_batch(classifier, inputs, ["golden retriever"], "saliency").shape
    torch.Size([1, 224, 224])

    """

    kind: Literal["saliency"] = "saliency"

    @property
    def needs(self) -> Needs:
        """The gradient of the input."""
        return Needs(input_gradient=True)

    def __call__(self, forward: Forward) -> Tensor:
        """Maps (P, H, W) at the input's resolution."""
        maps = forward.inputs.new_empty((len(forward.rows), *forward.inputs.shape[2:]))
        for pairs, gradient in forward.gradients():  # (R,), (R, 3, H, W)
            maps[pairs] = gradient.abs().amax(1)
        return maps
