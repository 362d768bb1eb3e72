"""Maps: where the evidence for a class lies, from one forward pass."""

from beyondcam.maps.affinity import AFFINITY_NEEDS, affinities
from beyondcam.maps.base import Map
from beyondcam.maps.cam import CAM
from beyondcam.maps.captum import Captum
from beyondcam.maps.centre import Centre
from beyondcam.maps.contrast import Contrast
from beyondcam.maps.forward import Forward, Needs, run_forward
from beyondcam.maps.gradcam import GradCAM
from beyondcam.maps.gradcam_plus_plus import GradCAMPlusPlus
from beyondcam.maps.hirescam import HiResCAM
from beyondcam.maps.input_x_gradient import InputXGradient
from beyondcam.maps.layer import LayerMap
from beyondcam.maps.layercam import LayerCAM
from beyondcam.maps.saliency import Saliency
from beyondcam.maps.spectral_residual import SpectralResidual
from beyondcam.maps.visible import Visible
from beyondcam.registry import Kinds

MAPS: Kinds[Map] = Kinds(
    Map, "map", CAM, Saliency, InputXGradient, GradCAM, GradCAMPlusPlus, LayerCAM, HiResCAM, Visible,
    Centre, Contrast, SpectralResidual, Captum,
)  # fmt: skip
register_map = MAPS.add

__all__ = [
    "AFFINITY_NEEDS",
    "CAM",
    "MAPS",
    "Captum",
    "Centre",
    "Contrast",
    "Forward",
    "GradCAM",
    "GradCAMPlusPlus",
    "HiResCAM",
    "InputXGradient",
    "LayerCAM",
    "LayerMap",
    "Map",
    "Needs",
    "Saliency",
    "SpectralResidual",
    "Visible",
    "affinities",
    "register_map",
    "run_forward",
]
