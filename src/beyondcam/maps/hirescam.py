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
    >>> from beyondcam.maps import HiResCAM, run_forward
    >>> classifier = bc.imagenet_classifier().eval()
    >>> hirescam = HiResCAM(layer="blocks.4")
    >>> inputs, targets = torch.rand(1, 3, 224, 224), torch.arange(1000)[None] == 207  # golden retriever
    >>> hirescam(run_forward(classifier, inputs, targets, hirescam.needs)).shape
    torch.Size([1, 14, 14])

    """

    kind: Literal["hirescam"] = "hirescam"

    def combine(self, features: Tensor, gradients: Tensor) -> Tensor:
        """Weigh each feature by its gradient."""
        return (gradients * features).sum(1)
