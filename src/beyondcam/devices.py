"""Where the network runs."""

import torch
from lightning_fabric import Fabric

from beyondcam.classifier import Classifier


def to_device(classifier: Classifier) -> Classifier:
    """The classifier on a GPU where there is one, in the memory format that is fastest for convolutions."""
    device = Fabric(accelerator="auto", devices=1).device
    return classifier.to(device).to(memory_format=torch.channels_last)
