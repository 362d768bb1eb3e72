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
    >>> from beyondcam.maps import LayerCAM, run_forward
    >>> classifier = bc.imagenet_classifier().eval()
    >>> layercam = LayerCAM(layer="blocks.4")
    >>> inputs, targets = torch.rand(1, 3, 224, 224), torch.arange(1000)[None] == 207  # golden retriever
    >>> layercam(run_forward(classifier, inputs, targets, layercam.needs)).shape
    torch.Size([1, 14, 14])

    """

    kind: Literal["layercam"] = "layercam"

    def combine(self, features: Tensor, gradients: Tensor) -> Tensor:
        """Weigh each feature by its positive gradient."""
        return (gradients.relu() * features).sum(1)
