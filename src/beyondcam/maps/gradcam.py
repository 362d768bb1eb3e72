"""Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391)."""

from typing import Literal

from torch import Tensor

from beyondcam.maps.layer import LayerMap


class GradCAM(LayerMap):
    """relu(Σ_k w_k F_k), w_k = mean_ij ∂s_c/∂F_kij: each channel of a layer is weighted by its mean gradient.

    Of the features that are pooled by their mean and read by the head, it is CAM divided by the number of
    places.

    Examples
    --------
    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 224, 224)
    >>> method = bc.maps.GradCAM(layer="blocks.4")
    >>> bc.map_batch(classifier, inputs, ["golden retriever"], method).shape
    torch.Size([1, 224, 224])

    """

    kind: Literal["gradcam"] = "gradcam"

    def combine(self, features: Tensor, gradients: Tensor) -> Tensor:
        """Weigh features by their mean gradients."""
        weights = gradients.mean((2, 3), keepdim=True)  # (R, K, 1, 1)
        return (weights * features).sum(1)
