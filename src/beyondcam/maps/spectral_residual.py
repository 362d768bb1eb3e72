"""Saliency of the spectral residual (Hou and Zhang 2007, doi 10.1109/CVPR.2007.383267)."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

from beyondcam.maps.base import Map
from beyondcam.maps.forward import Forward

SIDE = 64
"""Pixels to which the view is reduced: the scale at which the paper looks for things."""

BLUR = 2.5
"""Standard deviation, in those pixels, of the last step; the authors' program also dims the border."""


class SpectralResidual(Map):
    r"""What the spectrum of a picture has beyond that of any picture: saliency with no network and no class.

    Pictures have much the same log amplitude L(f), which falls smoothly. With P(f) the phase and h a mean
    over 3 × 3 frequencies, the map is

    .. math:: g * |F^{-1}[\exp(L - h * L + iP)]|^2,

    g being a Gaussian. It is of the grey picture at 64 × 64 pixels.

    Examples
    --------
    >>> import torch
    >>> import beyondcam as bc
    >>> classifier, inputs = bc.imagenet_classifier(), torch.rand(1, 3, 96, 96)
    >>> bc.map_batch(classifier, inputs, ["golden retriever"], "spectral-residual").shape
    torch.Size([1, 96, 96])

    """

    kind: Literal["spectral-residual"] = "spectral-residual"

    def __call__(self, forward: Forward) -> Tensor:
        """Maps (P, 64, 64)."""
        from scipy.ndimage import gaussian_filter, uniform_filter

        grey = forward.pixels.mean(1, keepdim=True)  # (B, 1, H, W)
        small = interpolate(grey, (SIDE, SIDE), mode="bilinear", antialias=True)[:, 0].cpu().double().numpy()
        spectrum = np.fft.fft2(small)  # (B, 64, 64)
        amplitude = np.log(np.abs(spectrum) + 1e-9)  # a frequency may be missing altogether
        residual = amplitude - uniform_filter(amplitude, (0, 3, 3), mode="wrap")  # frequencies go round
        back = np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))
        maps = gaussian_filter(np.abs(back) ** 2, (0, BLUR, BLUR))
        return torch.from_numpy(maps)[forward.rows].to(forward.inputs)
