"""Grad-CAM++ (Chattopadhyay et al. 2018, arXiv 1710.11063)."""

from typing import Literal

from torch import Tensor

from beyondcam.maps.layer import LayerMap


class GradCAMPlusPlus(LayerMap):
    """relu(Σ_k w_k F_k), w_k = Σ_ij α_kij relu(G_kij), α_k = G_k² / (2 G_k² + G_k³ Σ_ab F_kab), G = ∂s_c/∂F.

    The derivatives are of exp(s_c), where the second and third are powers of the first (equation 19); the
    factor exp(s_c) of the whole map is left out, and α is not scaled to sum to 1 in each channel, as the
    authors' program has it besides. A place weighs less the more the channel is active in all,
    so that a class's small instances count beside its large ones.

    Examples
    --------
    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 224, 224)
    >>> method = bc.maps.GradCAMPlusPlus(layer="blocks.4")
    >>> bc.map_batch(classifier, inputs, ["golden retriever"], method).shape
    torch.Size([1, 224, 224])

    """

    kind: Literal["gradcam++"] = "gradcam++"

    def combine(self, features: Tensor, gradients: Tensor) -> Tensor:
        """Weigh features by a weighted sum of their positive gradients."""
        total = features.sum((2, 3), keepdim=True)  # (R, K, 1, 1)
        weighed = gradients.relu() / (2 + gradients * total)  # α relu(G), with G² cancelled
        return (weighed.sum((2, 3), keepdim=True) * features).sum(1)
