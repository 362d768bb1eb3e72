"""Class activation maps (Zhou et al. 2016, arXiv 1512.04150)."""

from torch import Tensor

from beyondcam.maps.forward import Forward


def cam(forward: Forward) -> Tensor:
    """relu(A) of each pair: float (P, h, w). No gradient is needed."""
    return forward.activations[forward.rows, forward.columns].detach().relu()
