"""Batch norms folded into the convolutions before them: the same function, in fewer walks over memory."""

import sys
from collections import Counter
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from beyondcam.classifier.model import Classifier


def folded(classifier: Classifier) -> Classifier:
    """A copy whose batch norms are part of the convolutions before them; itself where it has no norms.

    In evaluation mode a batch norm only scales and shifts each channel, which a convolution's weights can do
    as well: scores, activations and gradients stay the same but for rounding, and passes get faster
    (docs/performance.md). A norm stays where more than it reads the convolution's output, and where either is
    of a kind that is not known here. The copy is to be used, not trained.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in classifier.modules()):
        return classifier
    copy = deepcopy(classifier).requires_grad_(False)
    instead: dict[nn.Module, nn.Module] = {}
    for conv, norm in _pairs(copy).items():
        instead[norm] = _without(norm)
        fused = fuse_conv_bn_eval(conv.cpu().double(), norm.cpu().double())  # not all GPUs have float64
        conv.weight, conv.bias = fused.weight, fused.bias
        conv.to(copy.weight)
    for parent in [*copy.modules()]:
        for name, child in [*parent.named_children()]:
            if child in instead:
                setattr(parent, name, instead[child])
    return copy


def _pairs(classifier: Classifier) -> dict[nn.Conv2d, nn.BatchNorm2d]:
    """Convolutions and the norms that alone read their outputs, as one pass shows, each run once in it."""
    layers = sys.modules.get("timm.layers")  # takes seconds to import, and is there with any of its networks
    convolutions = [nn.Conv2d, layers.Conv2dSame] if layers else [nn.Conv2d]
    norms = [nn.BatchNorm2d, layers.BatchNormAct2d] if layers else [nn.BatchNorm2d]
    reads, runs = _Reads(), Counter[nn.Module]()
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    found: list[tuple[nn.Conv2d, Tensor, nn.BatchNorm2d]] = []

    def after(conv: nn.Conv2d, _: object, output: Tensor) -> None:
        runs[conv] += 1
        made[id(output)] = conv, output  # kept, so that no other tensor takes its id
        reads.of[id(output)] = 0

    def before(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        runs[norm] += 1
        if id(inputs[0]) in made:
            found.append((*made[id(inputs[0])], norm))

    hooks = []
    for module in classifier.modules():
        if module.training:
            continue  # its function may be another than in eval mode
        if type(module) in convolutions:
            hooks.append(module.register_forward_hook(after))
        elif type(module) in norms and module.running_mean is not None:
            hooks.append(module.register_forward_pre_hook(before))
    with reads, torch.no_grad():
        classifier(classifier.weight.new_zeros(1, 3, classifier.size, classifier.size))
    for hook in hooks:
        hook.remove()
    return {
        conv: norm for conv, output, norm in found if runs[conv] == runs[norm] == reads.of[id(output)] == 1
    }


class _Reads(TorchDispatchMode):
    """Counts the operations that take each tensor, by its id."""

    def __init__(self) -> None:
        super().__init__()
        self.of: Counter[int] = Counter()

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count what the operation takes, and do it."""
        self.of.update(id(x) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor))
        return operation(*args, **(kwargs or {}))


def _without(norm: Any) -> nn.Module:
    """What a norm does besides: timm's have an activation of their own."""
    return nn.Identity() if type(norm) is nn.BatchNorm2d else nn.Sequential(norm.drop, norm.act)
