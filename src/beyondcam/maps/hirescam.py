"""HiResCAM (Draelos and Carin 2020, arXiv 2011.08891)."""

from typing import Literal

from torch import Tensor

from beyondcam.maps.layer import LayerMap


class HiResCAM(LayerMap):
    """relu(Σ_k G_k F_k), G = ∂s_c/∂F: each feature is weighted by its own gradient.

    If the score is linear in the layer's features, the sum over all places, before relu, is the score less
    its bias: the map shows what the score is made of.

    Examples
    --------
    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 224, 224)
    >>> method = bc.maps.HiResCAM(layer="blocks.4")
    >>> bc.map_batch(classifier, inputs, ["golden retriever"], method).shape
    torch.Size([1, 224, 224])

    """

    kind: Literal["hirescam"] = "hirescam"

    def combine(self, features: Tensor, gradients: Tensor) -> Tensor:
        """Weigh each feature by its gradient."""
        return (gradients * features).sum(1)
