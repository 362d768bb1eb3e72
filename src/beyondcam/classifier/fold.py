"""Batch norms folded into the convolutions before them: the same function, in fewer walks over memory."""

import sys
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from beyondcam.classifier.model import Classifier, fingerprint
from beyondcam.classifier.wrapping import Wrapped
from beyondcam.devices import full_float32
from beyondcam.errors import BeyondcamError

SAME = 1e-3
"""How far scores may change when norms are folded, as a share of the largest; in half precision, 0.05."""


@full_float32()
def folded(classifier: Classifier) -> Classifier:
    """A copy in evaluation mode whose batch norms are part of the convolutions before them.

    In evaluation mode a batch norm only scales and shifts each channel, which a convolution's weights can do
    as well: scores, activations and gradients stay the same but for rounding, and passes get faster
    (docs/performance.md). A norm stays where more than it reads the convolution's output, and where either is
    of a kind that is not known here. The copy of a wrapped network is checked on noise.

    Parameters
    ----------
    classifier
        on any device; it is left as it is.

    Returns
    -------
    The copy, to be used and not to be trained; or the classifier itself, where it is in evaluation mode and
    has no batch norms or cannot be copied.

    Raises
    ------
    BeyondcamError
        Where it cannot be copied and is in training mode.

    """
    training = classifier.training
    if not training and not any(isinstance(module, nn.BatchNorm2d) for module in classifier.modules()):
        return classifier
    try:
        copy = _evaluating_copy(classifier)
    except (RuntimeError, TypeError) as error:  # of networks with weight_norm and other derived weights
        if not training:
            return classifier
        raise BeyondcamError(
            f"is in training mode and cannot be copied ({error}); call its eval() first",
            parameter="classifier",
        ) from None
    x = torch.randn(1, 3, copy.size, copy.size, generator=torch.Generator().manual_seed(0)).to(copy.device)
    pairs, scores = _pairs(copy, x)
    _fold(copy, pairs)
    if isinstance(copy, Wrapped) and not _gives(copy, x, scores):
        return _evaluating_copy(classifier)
    copy.checkpoint = fingerprint(classifier)  # its evidence is the classifier's
    return copy


def _evaluating_copy(classifier: Classifier) -> Classifier:
    copy = deepcopy(classifier).requires_grad_(False)
    for module in copy.modules():
        module.training = False
    return copy


def _gives(copy: Classifier, x: Tensor, scores: Tensor) -> bool:
    """Whether a folded copy still gives these scores for an input."""
    try:
        with torch.no_grad():
            difference = (copy(x).scores - scores).abs().max()
    except (BeyondcamError, AttributeError):  # its forward does more with a norm than to call it
        return False
    tolerance = 0.05 if scores.dtype.itemsize == 2 else SAME
    return bool(difference <= tolerance * scores.abs().max())


def _fold(copy: Classifier, pairs: Mapping[nn.Conv2d, nn.BatchNorm2d]) -> None:
    """Make norms part of their convolutions."""
    instead: dict[nn.Module, nn.Module] = {}
    for conv, norm in pairs.items():
        instead[norm] = _without(norm).eval()
        device, dtype = conv.weight.device, conv.weight.dtype
        # copies, since others may share their weights; on the CPU, since not all GPUs have float64
        fused = fuse_conv_bn_eval(deepcopy(conv).cpu().double(), deepcopy(norm).cpu().double())
        conv.weight, conv.bias = fused.weight, fused.bias
        conv.to(device, dtype)
    for parent in [*copy.modules()]:
        for name, child in [*parent.named_children()]:
            if child in instead:
                setattr(parent, name, instead[child])


def _pairs(classifier: Classifier, x: Tensor) -> tuple[dict[nn.Conv2d, nn.BatchNorm2d], Tensor]:
    """Convolutions and the norms that alone read their outputs, as a pass over `x` shows; and its scores.

    Each must run once in the pass, and be without hooks, which may change its weights.
    """
    layers = sys.modules.get("timm.layers")  # takes seconds to import, and is there with any of its networks
    convolutions = [nn.Conv2d, layers.Conv2dSame] if layers else [nn.Conv2d]
    norms = [nn.BatchNorm2d, layers.BatchNormAct2d] if layers else [nn.BatchNorm2d]
    reads, runs = _Reads(), Counter[nn.Module]()
    outputs: dict[int, tuple[nn.Conv2d, Tensor]] = {}
    pairs: list[tuple[nn.Conv2d, Tensor, nn.BatchNorm2d]] = []

    def after(conv: nn.Conv2d, _: object, output: Tensor) -> None:
        runs[conv] += 1
        outputs[id(output)] = conv, output  # kept, so that no other tensor takes its id
        reads.of[id(output)] = 0

    def before(norm: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        runs[norm] += 1
        if id(inputs[0]) in outputs:
            pairs.append((*outputs[id(inputs[0])], norm))

    hooks = []
    for module in classifier.modules():
        if module._forward_pre_hooks or module._forward_hooks:
            continue
        if type(module) in convolutions:
            hooks.append(module.register_forward_hook(after))
        elif type(module) in norms and module.running_mean is not None:
            hooks.append(module.register_forward_pre_hook(before))
    with reads, torch.no_grad():
        scores = classifier(x).scores
    for hook in hooks:
        hook.remove()
    alone = {
        conv: norm for conv, output, norm in pairs if runs[conv] == runs[norm] == reads.of[id(output)] == 1
    }
    return alone, scores


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
    """The activation that timm's norms contain."""
    return nn.Identity() if type(norm) is nn.BatchNorm2d else nn.Sequential(norm.drop, norm.act)
