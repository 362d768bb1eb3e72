"""What training a classifier and training a segmentation network have in common."""

import math

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn

from beyondcam.devices import total_of
from beyondcam.errors import BeyondcamError


def learning_rate(step: int, steps: int, warmup: float) -> float:
    """Learning rate at a step as a share of the highest: a linear rise, then half a cosine to zero."""
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def freeze_norms(network: nn.Module) -> None:
    """Have batch norms go by the statistics that they have, until `network.train()` is called again."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def descend(loss: Tensor, optimizer: torch.optim.Optimizer, fabric: Fabric, epoch: int) -> float:
    """One step of the optimizer; returns the loss, the mean over the processes.

    Raises `BeyondcamError` where that is no finite number.
    """
    optimizer.zero_grad()
    fabric.backward(loss)
    optimizer.step()
    value = total_of(loss.detach(), fabric) / fabric.world_size
    if not math.isfinite(value):
        raise BeyondcamError(f"epoch {epoch + 1}: the loss is {value}; lower --lr")
    return value
