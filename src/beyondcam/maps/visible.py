"""What a view shows of its image, which RISE weighs by the class's score."""

from typing import Literal

from torch import Tensor

from beyondcam.maps.base import Map
from beyondcam.maps.forward import Forward


class Visible(Map):
    """m, the mask that the view's input was multiplied by; 1 if by none.

    With the class's score as weight, its mean over random masks is RISE (Petsiuk et al. 2018, arXiv
    1806.07421): a pixel is evidence for a class as far as views that show it score high.

    Examples
    --------
    >>> import beyondcam as bc
    >>> from beyondcam.perturbations import Rise
    >>> source = bc.Source(map="visible", perturbation=Rise(), weight="score")
    >>> bc.Cookbook().recipe("rise") == bc.Recipe(source=source)
    True

    """

    kind: Literal["visible"] = "visible"

    def __call__(self, forward: Forward) -> Tensor:
        """Maps (P, H, W) at the input's resolution."""
        if forward.masks is None:
            return forward.inputs.new_ones(len(forward.rows), *forward.inputs.shape[2:])
        return forward.masks[forward.rows].to(forward.inputs.device)
