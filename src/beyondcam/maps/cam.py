"""Class activation maps (Zhou et al. 2016, arXiv 1512.04150)."""

from typing import Literal

from torch import Tensor

from beyondcam.maps.base import Map
from beyondcam.maps.forward import Forward


class CAM(Map):
    """relu(A_c), where A_c = Σ_k w_ck f_k is the head applied to the features at every place.

    The score is the mean of A_c over all places, plus the head's bias, which the map leaves out.

    Examples
    --------
    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 224, 224)
    >>> bc.map_batch(classifier, inputs, ["golden retriever"], "cam").shape
    torch.Size([1, 224, 224])

    """

    kind: Literal["cam"] = "cam"

    def __call__(self, forward: Forward) -> Tensor:
        """Maps (P, h, w) at the resolution of the activations. No gradient is needed."""
        return forward.activations[forward.rows, forward.columns].detach().relu()
