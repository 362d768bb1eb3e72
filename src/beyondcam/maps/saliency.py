"""Gradient saliency (Simonyan et al. 2014, arXiv 1312.6034)."""

from torch import Tensor

from beyondcam.maps.forward import Forward


def saliency(forward: Forward) -> Tensor:
    """max over colour channels of abs(∂s_c/∂x) of each pair: float (P, H, W)."""
    maps = forward.inputs.new_empty((len(forward.rows), *forward.inputs.shape[2:]))
    for which, gradient in forward.gradients():
        maps[which] = gradient.abs().amax(1)
    return maps
