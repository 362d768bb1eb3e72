"""One forward pass, and the only place that asks autograd for a gradient."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from beyondcam.classifier.model import Classifier
from beyondcam.errors import BeyondcamError


@dataclass(frozen=True)
class Needs:
    """What is taken from a forward pass besides scores and activations.

    Attributes
    ----------
    input_gradient : the gradients ∂s_c/∂x of the scores with respect to the input.
    conv_inputs : what the convolutions read, as `Forward.conv_inputs` has it.

    """

    input_gradient: bool = False
    conv_inputs: bool = False

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(self.input_gradient or other.input_gradient, self.conv_inputs or other.conv_inputs)


@dataclass(frozen=True)
class Forward:
    """A forward pass over B inputs, and the P pairs of an input and a target that maps are asked for.

    Attributes
    ----------
    inputs : float (B, 3, H, W).
    scores : float (B, C), logits.
    activations : float (B, C, h, w).
    rows, columns : int64 (P,) on the CPU, the input and the class of each pair, sorted by input.
    conv_inputs : float (B, K, h, w) each, if needed: the inputs of the convolutions over all channels that
        do not reduce the number of channels (after one that does, the next reads the same in fewer channels);
        what the head reads is the last.

    """

    inputs: Tensor
    scores: Tensor
    activations: Tensor
    rows: Tensor
    columns: Tensor
    conv_inputs: tuple[Tensor, ...] = ()

    def gradients(self) -> Iterator[tuple[Tensor, Tensor]]:
        """∂s_c/∂x of every pair, in rounds of at most one pair an input; any number of maps may ask.

        Yields
        ------
        pairs : int64 (R,), the pairs of this round.
        gradient : float (R, 3, H, W).

        """
        left = torch.arange(len(self.rows))
        while len(left):
            rows = self.rows[left]
            first = torch.ones_like(rows, dtype=torch.bool)
            first[1:] = rows[1:] != rows[:-1]
            pairs, left = left[first], left[~first]
            total = self.scores[self.rows[pairs], self.columns[pairs]].sum()
            (gradient,) = torch.autograd.grad(total, self.inputs, retain_graph=True)  # (B, 3, H, W)
            yield pairs, gradient if len(pairs) == len(gradient) else gradient[self.rows[pairs]]


def run_forward(classifier: Classifier, inputs: Tensor, targets: Tensor, needs: Needs) -> Forward:
    """Run the classifier on normalised inputs (B, 3, H, W) for `targets`, bool (B, C).

    The classifier's mode, parameters, their gradients and its hooks stay as they are. Raises `BeyondcamError`
    for targets of another shape or type.
    """
    shape = (len(inputs), len(classifier.classes))
    if targets.shape != shape or targets.dtype != torch.bool:
        raise BeyondcamError(
            f"targets: bool {shape} is needed, not {str(targets.dtype)[6:]} {tuple(targets.shape)}"
        )
    inputs = inputs.detach().requires_grad_(needs.input_gradient)
    with torch.set_grad_enabled(needs.input_gradient), ExitStack() as hooks:
        conv_inputs = _keep_conv_inputs(classifier, hooks) if needs.conv_inputs else []
        scores, activations = classifier(inputs)
    rows, columns = targets.cpu().nonzero(as_tuple=True)
    return Forward(inputs, scores, activations, rows, columns, tuple(conv_inputs))


def _keep_conv_inputs(classifier: Classifier, hooks: ExitStack) -> list[Tensor]:
    """Fill a list with the `conv_inputs` of the pass that is made while the hooks last."""
    kept: list[Tensor] = []

    def before_convolution(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        if not any(args[0] is x for x in kept):  # what two convolutions read counts once
            kept.append(args[0])

    def after_backbone(_: nn.Module, __: object, output: Tensor) -> None:
        kept.append(output)

    for module in classifier.modules():
        if isinstance(module, nn.Conv2d) and module.groups == 1 and module.out_channels >= module.in_channels:
            hooks.enter_context(module.register_forward_pre_hook(before_convolution))
    hooks.enter_context(classifier.backbone.register_forward_hook(after_backbone))
    return kept
