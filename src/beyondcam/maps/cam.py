"""Class activation maps (Zhou et al. 2016, arXiv 1512.04150)."""

from typing import Literal

from torch import Tensor

from beyondcam.maps.base import Map
from beyondcam.maps.forward import Forward


class CAM(Map):
    """relu(A_c), where the activations A_c = Σ_k w_ck f_k are the head's weights applied at every place."""

    kind: Literal["cam"] = "cam"

    def __call__(self, forward: Forward) -> Tensor:
        """Maps (P, h, w) at the resolution of the activations. No gradient is needed."""
        return forward.activations[forward.rows, forward.columns].detach().relu()
