"""One forward pass and the only place that asks autograd for a gradient."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

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

    """

    inputs: Tensor
    scores: Tensor
    activations: Tensor
    rows: Tensor
    columns: Tensor

    def gradients(self) -> Iterator[tuple[Tensor, Tensor]]:
        """∂s_c/∂x of every pair, in rounds of at most one pair an input.

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
            (gradient,) = torch.autograd.grad(total, self.inputs, retain_graph=len(left) > 0)
            yield which, gradient if len(which) == len(gradient) else gradient[self.rows[which]]


def run_forward(classifier: Classifier, inputs: Tensor, targets: Tensor, *, gradient: bool) -> Forward:
    """Run the classifier on normalised inputs (B, 3, H, W) for `targets`, bool (B, C).

    The classifier's mode, parameters and their gradients stay as they are.
    """
    shape = (len(inputs), len(classifier.classes))
    if targets.shape != shape or targets.dtype != torch.bool:
        raise BeyondcamError(
            f"targets must be bool {shape}, not {str(targets.dtype)[6:]} {tuple(targets.shape)}"
        )
    inputs = inputs.detach().requires_grad_(gradient)
    with torch.set_grad_enabled(gradient):
        scores, activations = classifier(inputs)
    rows, columns = targets.cpu().nonzero(as_tuple=True)
    return Forward(inputs, scores, activations, rows, columns)
