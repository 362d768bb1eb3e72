"""Small classifiers, photos and targets, for tests of maps and of the engine."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from beyondcam.classifier import Classifier
from beyondcam.data import Photo
from beyondcam.maps import AFFINITY_NEEDS, affinities, run_forward


def tiny(classes: int = 3, *, single_label: bool = False, bias: bool = False, seed: int = 0) -> Classifier:
    """A smooth network of two convolutions, for inputs of 32 pixels."""
    torch.manual_seed(seed)
    backbone = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.Softplus(), nn.Conv2d(6, 5, 3, 1, 1), nn.Softplus())
    head = nn.Conv2d(5, classes, 1, bias=bias)
    names = [f"c{n}" for n in range(classes)]
    return Classifier(backbone, head, names, size=32, single_label=single_label).eval()


def photo(height: int = 40, width: int = 56, seed: int = 0) -> Photo:
    """A smooth photo."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (1, 3, 6, 7)))
    return Photo.of(F.interpolate(coarse, (height, width), mode="bilinear")[0].to(torch.uint8))


def targets(*rows: list[int], classes: int = 3) -> torch.Tensor:
    """The targets of each input: bool (B, C)."""
    return torch.tensor([[c in row for c in range(classes)] for row in rows])


def affinities_of(classifier: Classifier, x: torch.Tensor) -> torch.Tensor:
    """The affinities of normalised inputs: (B, n, n)."""
    nothing = torch.zeros(len(x), len(classifier.classes), dtype=torch.bool)
    return affinities(run_forward(classifier, x, nothing, AFFINITY_NEEDS))
