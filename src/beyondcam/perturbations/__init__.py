"""Perturbations: which copies of an image a map is averaged over.

A new one is a subclass of `Perturbation` in a file of its own, and one line in `PERTURBATIONS`.
"""

from beyondcam.perturbations.augment import augmented
from beyondcam.perturbations.base import Perturbation
from beyondcam.perturbations.crops import Crops
from beyondcam.perturbations.mask import Mask
from beyondcam.perturbations.noise import Noise
from beyondcam.perturbations.plain import Plain, Scales
from beyondcam.perturbations.view import View, generator

PERTURBATIONS: tuple[type[Perturbation], ...] = (Plain, Scales, Noise, Mask, Crops)

__all__ = [
    "PERTURBATIONS",
    "Crops",
    "Mask",
    "Noise",
    "Perturbation",
    "Plain",
    "Scales",
    "View",
    "augmented",
    "generator",
]
