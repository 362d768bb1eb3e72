"""Input × gradient (Shrikumar et al. 2016, arXiv 1605.01713)."""

from typing import Literal

from torch import Tensor

from beyondcam.maps.base import Map
from beyondcam.maps.forward import Forward, Needs


class InputXGradient(Map):
    """Σ_ch x · ∂s_c/∂x: to first order, what the score loses if a pixel becomes 0, the mean colour.

    It is negative where the pixel speaks against the class. Averaged over the views of the perturbation
    `path` it is integrated gradients.

    Examples
    --------
    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 224, 224)
    >>> bc.map_batch(classifier, inputs, ["golden retriever"], "input-x-gradient").shape
    torch.Size([1, 224, 224])

    """

    kind: Literal["input-x-gradient"] = "input-x-gradient"

    @property
    def needs(self) -> Needs:
        """The gradient of the input."""
        return Needs(input_gradient=True)

    def __call__(self, forward: Forward) -> Tensor:
        """Maps (P, H, W) at the input's resolution."""
        inputs = forward.inputs.detach()  # (B, 3, H, W)
        maps = inputs.new_empty(len(forward.rows), *inputs.shape[2:])
        for pairs, gradient in forward.gradients():  # (R,), (R, 3, H, W)
            maps[pairs] = (inputs[forward.rows[pairs]] * gradient).sum(1)
        return maps
