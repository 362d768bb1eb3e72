"""One forward pass and the only place that asks autograd for a gradient."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from beyondcam.classifier.model import Classifier
from beyondcam.errors import BeyondcamError


@dataclass(frozen=True)
class Forward:
    """A forward pass over B inputs, and the P pairs of input and target that are asked about.

    Attributes
    ----------
    inputs : float (B, 3, H, W).
    scores : float (B, C), logits.
    activations : float (B, C, h, w).
    rows, columns : int64 (P,) on the CPU, the input and the class of each pair, sorted by input.
    features : float (B, K, h, w) each, where they were asked for: what the convolutions over all channels
        read, but for those that narrow it, since others read the same in fewer channels; what the head reads
        is the last.

    """

    inputs: Tensor
    scores: Tensor
    activations: Tensor
    rows: Tensor
    columns: Tensor
    features: tuple[Tensor, ...] = ()

    def gradients(self) -> Iterator[tuple[Tensor, Tensor]]:
        """∂s_c/∂x of every pair, in rounds of at most one pair an input; several maps may each ask for them.

        Yields
        ------
        which : int64 (R,), the pairs answered in this round.
        gradient : float (R, 3, H, W).

        """
        left = torch.arange(len(self.rows))
        while len(left):
            rows = self.rows[left]
            first = torch.ones_like(rows, dtype=torch.bool)
            first[1:] = rows[1:] != rows[:-1]
            which, left = left[first], left[~first]
            total = self.scores[self.rows[which], self.columns[which]].sum()
            (gradient,) = torch.autograd.grad(total, self.inputs, retain_graph=True)
            yield which, gradient if len(which) == len(gradient) else gradient[self.rows[which]]


def run_forward(
    classifier: Classifier, inputs: Tensor, targets: Tensor, *, gradient: bool, features: bool = False
) -> Forward:
    """Run the classifier on normalised inputs (B, 3, H, W) for `targets`, bool (B, C).

    `gradient` makes gradients possible, `features` keeps the features. The classifier's mode, parameters and
    their gradients stay as they are.
    """
    shape = (len(inputs), len(classifier.classes))
    if targets.shape != shape or targets.dtype != torch.bool:
        raise BeyondcamError(
            f"targets must be bool {shape}, not {str(targets.dtype)[6:]} {tuple(targets.shape)}"
        )
    inputs = inputs.detach().requires_grad_(gradient)
    keeping: AbstractContextManager[Sequence[Tensor]] = _kept(classifier) if features else nullcontext(())
    with torch.set_grad_enabled(gradient), keeping as kept:
        scores, activations = classifier(inputs)
    rows, columns = targets.cpu().nonzero(as_tuple=True)
    return Forward(inputs, scores, activations, rows, columns, tuple(kept))


@contextmanager
def _kept(classifier: Classifier) -> Iterator[Sequence[Tensor]]:
    """Keep the features of a `Forward`, of the pass that is made inside."""
    kept: list[Tensor] = []

    def before(_: nn.Module, x: tuple[Tensor, ...]) -> None:
        if not any(x[0] is own for own in kept):  # what two convolutions read counts once
            kept.append(x[0])

    def after(_: nn.Module, __: object, x: Tensor) -> None:
        kept.append(x)

    hooks = [
        module.register_forward_pre_hook(before)
        for module in classifier.modules()
        if isinstance(module, nn.Conv2d) and module.groups == 1 and module.out_channels >= module.in_channels
    ]
    hooks.append(classifier.backbone.register_forward_hook(after))
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()
