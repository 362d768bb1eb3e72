"""Perturbations: which copies of an image a map is averaged over."""

from beyondcam.perturbations.augment import augmented
from beyondcam.perturbations.base import Perturbation
from beyondcam.perturbations.crops import Crops
from beyondcam.perturbations.mask import Mask, Masking
from beyondcam.perturbations.noise import Noise
from beyondcam.perturbations.path import LinearPath
from beyondcam.perturbations.plain import Plain, Scales
from beyondcam.perturbations.rise import Rise
from beyondcam.perturbations.view import View, cut_at_once, generator
from beyondcam.registry import Kinds

PERTURBATIONS: Kinds[Perturbation] = Kinds(
    Perturbation, "perturbation", Plain, Scales, Noise, Mask, Crops, LinearPath, Rise
)
register_perturbation = PERTURBATIONS.add

__all__ = [
    "PERTURBATIONS",
    "Crops",
    "LinearPath",
    "Mask",
    "Masking",
    "Noise",
    "Perturbation",
    "Plain",
    "Rise",
    "Scales",
    "View",
    "augmented",
    "cut_at_once",
    "generator",
    "register_perturbation",
]
