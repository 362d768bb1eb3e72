"""LayerCAM (Jiang et al. 2021, IEEE TIP 30, doi 10.1109/TIP.2021.3089943)."""

from typing import Literal

from torch import Tensor

from beyondcam.maps.layer import LayerMap


class LayerCAM(LayerMap):
    """relu(Σ_k relu(G_k) F_k), G = ∂s_c/∂F: each feature is weighted by its own positive gradient.

    Weights differ from place to place, so it works for early layers too, which are finer.

    Examples
    --------
    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 224, 224)
    >>> method = bc.maps.LayerCAM(layer="blocks.4")
    >>> bc.map_batch(classifier, inputs, ["golden retriever"], method).shape
    torch.Size([1, 224, 224])

    """

    kind: Literal["layercam"] = "layercam"

    def combine(self, features: Tensor, gradients: Tensor) -> Tensor:
        """Weigh each feature by its positive gradient."""
        return (gradients.relu() * features).sum(1)
