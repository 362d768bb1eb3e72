"""Maps made of the features of a layer and the gradients of the score with respect to them."""

from torch import Tensor

from beyondcam.errors import BeyondcamError
from beyondcam.maps.base import Map
from beyondcam.maps.forward import Forward, Needs


class LayerMap(Map):
    """Base of the maps that combine a layer's features F (K, h, w) with their gradients ∂s_c/∂F.

    Parameters
    ----------
    layer : name of a module of the backbone, as `backbone.named_modules()` has it, that gives features
        (B, K, h, w); "" is the backbone itself, whose features the head reads.

    """

    layer: str = ""

    @property
    def needs(self) -> Needs:
        """The layer's features and their gradients."""
        return Needs(layer_gradients=frozenset({self.layer}))

    def __call__(self, forward: Forward) -> Tensor:
        """Maps (P, h, w) at the resolution of the layer, none of them negative."""
        features = forward.features[self.layer].detach()  # (B, K, h, w)
        if features.ndim != 4:
            raise BeyondcamError(
                f"{self.layer!r} gives {tuple(features.shape)}; (B, K, h, w) is needed", parameter="layer"
            )
        maps = features.new_empty(len(forward.rows), *features.shape[2:])
        for pairs, gradients in forward.gradients(self.layer):  # (R,), (R, K, h, w)
            maps[pairs] = self.combine(features[forward.rows[pairs]], gradients).relu()
        return maps

    def combine(self, features: Tensor, gradients: Tensor) -> Tensor:
        """Features and gradients (R, K, h, w) of R pairs → maps (R, h, w)."""
        raise NotImplementedError
