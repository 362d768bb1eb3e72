"""Dense CRF (Krähenbühl and Koltun 2011), through the extra `crf`."""

from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError
from beyondcam.refinements.base import Refinement, by_maximum

Positive = Annotated[float, Field(gt=0)]


class CRF(Refinement):
    """Mean-field posterior of the targets, from their evidence and a constant background score.

    Parameters
    ----------
    background : score of the background against evidence v in [0, 1]; choose it on the training split.
    steps : mean-field iterations.
    smooth_xy, colour_xy : standard deviations in pixels of the smoothness and of the appearance kernel.
    colour_rgb : standard deviation of the appearance kernel in colour, of 255.
    smooth_weight, colour_weight : the kernels' weights.

    """

    on_cpu: ClassVar[bool] = True

    kind: Literal["crf"] = "crf"
    background: Annotated[float, Field(gt=0, lt=1)] = 0.3
    steps: Annotated[int, Field(ge=1)] = 10
    smooth_xy: Positive = 3.0
    smooth_weight: Positive = 3.0
    colour_xy: Positive = 50.0
    colour_rgb: Positive = 5.0
    colour_weight: Positive = 10.0

    def __call__(self, photo: Photo, maps: Tensor) -> Tensor:
        """Posterior probability of each target: (k, H, W) in [0, 1]."""
        try:
            from pydensecrf.densecrf import DenseCRF2D
        except ModuleNotFoundError:
            raise BeyondcamError("the refinement crf needs an extra: pip install 'beyondcam[crf]'") from None
        v = by_maximum(maps)
        scores = torch.cat([torch.full_like(v[:1], self.background), v]).clamp_min(1e-5)
        unary = -(scores / scores.sum(0)).log()
        field = DenseCRF2D(photo.width, photo.height, len(scores))
        field.setUnaryEnergy(np.ascontiguousarray(unary.flatten(1).numpy()))
        field.addPairwiseGaussian(sxy=self.smooth_xy, compat=self.smooth_weight)
        rgb = np.ascontiguousarray(photo.pixels.permute(1, 2, 0).numpy())
        field.addPairwiseBilateral(
            sxy=self.colour_xy, srgb=self.colour_rgb, rgbim=rgb, compat=self.colour_weight
        )
        posterior = torch.from_numpy(np.array(field.inference(self.steps), np.float32))
        return posterior.view_as(scores)[1:]
