"""Contrast of colour between superpixels (Cheng et al. 2015, doi 10.1109/TPAMI.2014.2345401)."""

from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from beyondcam.maps.base import Map
from beyondcam.maps.forward import Forward
from beyondcam.refinements.superpixels import slic_labels


class Contrast(Map):
    r"""How far the colour of a pixel's superpixel is from that of the others, the near ones first.

    Superpixel k of n has the contrast (after equation 7 of the paper, with mean colours in place of its
    histograms, SLIC in place of its segmentation, and no centre prior)

    .. math:: \sum_i a_i \exp(-|x_k - x_i| / 0.4) \, |c_k - c_i|,

    a_i being the share of the view that superpixel i takes, x its centre in sides of the view, c its mean
    colour in CIELAB. The network is not asked, and the map is the same for every class: with the label it
    says what there is, and with the contrast, where.

    Parameters
    ----------
    number : of superpixels, about.

    Examples
    --------
    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 64, 64)
    >>> bc.map_batch(classifier, inputs, ["golden retriever"], "contrast").shape
    torch.Size([1, 64, 64])

    """

    kind: Literal["contrast"] = "contrast"
    number: Annotated[int, Field(ge=2)] = 300

    def __call__(self, forward: Forward) -> Tensor:
        """Maps (P, H, W) at the input's resolution."""
        maps = np.stack([self._of(pixels) for pixels in forward.pixels.cpu()])  # (B, H, W)
        return torch.from_numpy(maps)[forward.rows].to(forward.inputs)

    def _of(self, pixels: Tensor) -> NDArray[np.float64]:
        """The contrast (H, W) of a picture, float (3, H, W) in [0, 1]."""
        from scipy.spatial.distance import cdist
        from skimage.color import rgb2lab

        pixels = (255 * pixels).round().to(torch.uint8)
        labels = slic_labels(pixels, self.number)
        height, width = labels.shape
        colours = rgb2lab(pixels.permute(1, 2, 0).numpy()).reshape(-1, 3).T  # (3, H·W)
        places = np.indices(labels.shape).reshape(2, -1) / [[height], [width]]
        sizes = np.bincount(labels.ravel())  # (n,)
        colour, place = (
            np.stack([np.bincount(labels.ravel(), channel) / sizes for channel in channels], 1)  # (n, ·)
            for channels in (colours, places)
        )
        contrast = (np.exp(-cdist(place, place) / 0.4) * cdist(colour, colour)) @ sizes / labels.size
        return contrast[labels]
