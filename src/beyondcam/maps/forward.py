"""One forward pass, and the only place where maps get gradients from."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from operator import or_

import torch
from torch import Tensor, nn

from beyondcam.classifier.model import Classifier
from beyondcam.classifier.wrapping import Wrapped
from beyondcam.errors import BeyondcamError


@dataclass(frozen=True)
class Needs:
    """What is taken from a forward pass besides scores and activations.

    Attributes
    ----------
    input_gradient : the gradients ∂s_c/∂x of the scores with respect to the input.
    layers : the features of these modules of the backbone; "" is the backbone itself.
    layer_gradients : the features of these, and the gradients ∂s_c/∂F of the scores with respect to them.
    conv_inputs : what the convolutions read, as `Forward.conv_inputs` has it.
    modules : any of the network's modules.

    """

    input_gradient: bool = False
    layers: frozenset[str] = frozenset()
    layer_gradients: frozenset[str] = frozenset()
    conv_inputs: bool = False
    modules: bool = False

    def __or__(self, other: "Needs") -> "Needs":
        return Needs(*map(or_, vars(self).values(), vars(other).values()))

    @property
    def backward(self) -> bool:
        """Whether it takes backward passes."""
        return self.input_gradient or bool(self.layer_gradients)

    @property
    def as_built(self) -> bool:
        """Whether the network has to run as it was built, with no module folded into another."""
        return self.modules or bool((self.layers | self.layer_gradients) - {""})


@dataclass
class Passes:
    """Numbers of passes through the network, one an input."""

    forward: int = 0
    backward: int = 0

    def take(self) -> "Passes":
        """The numbers so far; counting begins anew."""
        taken = Passes(self.forward, self.backward)
        self.forward = self.backward = 0
        return taken


@dataclass(frozen=True)
class Forward:
    """A forward pass over B inputs, and the P pairs of an input and a target that maps are wanted for.

    Attributes
    ----------
    classifier : the network.
    inputs : float (B, 3, H, W).
    masks : float (B, H, W) in [0, 1], what the inputs were multiplied by; None if by nothing.
    scores : float (B, C), logits.
    activations : float (B, C, h, w).
    rows, columns : int64 (P,) on the CPU, the input and the class of each pair, sorted by input.
    features : by layer, if needed: what the module gives.
    conv_inputs : float (B, K, h, w) each, if needed: the inputs of the convolutions over all channels that
        do not reduce the number of channels (after one that does, the next reads the same in fewer channels);
        what the head reads is the last.
    passes : the number of further passes that were made for maps.

    """

    classifier: Classifier
    inputs: Tensor
    masks: Tensor | None
    scores: Tensor
    activations: Tensor
    rows: Tensor
    columns: Tensor
    features: Mapping[str, Tensor] = field(default_factory=dict)
    conv_inputs: tuple[Tensor, ...] = ()
    passes: Passes = field(default_factory=Passes)

    @property
    def pixels(self) -> Tensor:
        """The inputs as pictures again, float (B, 3, H, W) in [0, 1]."""
        return (self.inputs.detach() * self.classifier.std + self.classifier.mean).clamp(0, 1)

    def gradients(self, layer: str | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """The gradient of the score of every pair, with respect to the input or to a layer's features.

        It comes in rounds of at most one pair an input; any number of maps may take it.

        Yields
        ------
        pairs : int64 (R,), the pairs of this round.
        gradient : float (R, 3, H, W), or (R, K, h, w) as the features are.

        """
        variable = self.inputs if layer is None else self.features[layer]
        left = torch.arange(len(self.rows))
        while len(left):
            rows = self.rows[left]
            first = torch.ones_like(rows, dtype=torch.bool)
            first[1:] = rows[1:] != rows[:-1]
            pairs, left = left[first], left[~first]
            total = self.scores[self.rows[pairs], self.columns[pairs]].sum()
            gradient = None
            if total.requires_grad:  # (B, …), of all inputs
                (gradient,) = torch.autograd.grad(total, variable, retain_graph=True, allow_unused=True)
            if gradient is None:
                raise BeyondcamError(
                    f"the scores are no function of what {layer!r} gives; name another", parameter="layer"
                )
            self.passes.backward += len(pairs)
            yield pairs, gradient if len(pairs) == len(gradient) else gradient[self.rows[pairs]]

    def score_model(self) -> nn.Module:
        """The network as other libraries take it, (B, 3, H, W) → scores (B, C); its passes are counted."""
        return _ScoreModel(self.classifier, self.passes)

    def module(self, name: str) -> nn.Module:
        """A module of the backbone. Raises `BeyondcamError` if there is none of this name."""
        return _module(self.classifier, name)


def run_forward(
    classifier: Classifier, inputs: Tensor, targets: Tensor, needs: Needs, masks: Tensor | None = None
) -> Forward:
    """Run a classifier once, and keep what maps need of the pass.

    The classifier's mode, parameters, their gradients and its hooks stay as they are.

    Parameters
    ----------
    classifier
        in evaluation mode.
    inputs
        float (B, 3, H, W), normalised.
    targets
        bool (B, C), the classes that maps are wanted for.
    needs
        what is kept.
    masks
        float (B, H, W) in [0, 1], what the inputs were multiplied by, if by anything.

    Returns
    -------
    The pass, which a map turns into maps.

    Raises
    ------
    BeyondcamError
        For targets of another shape or type, and for layers that the backbone does not have or runs more than
        once.

    """
    shape = (len(inputs), len(classifier.classes))
    if targets.shape != shape or targets.dtype != torch.bool:
        raise BeyondcamError(
            f"bool {shape} is needed, not {str(targets.dtype)[6:]} {tuple(targets.shape)}",
            parameter="targets",
        )
    # a wrapped network's scores are there before the features are kept, so its graph begins at the input
    whole = isinstance(classifier, Wrapped) and "" in needs.layer_gradients
    inputs = inputs.detach().requires_grad_(needs.input_gradient or whole)
    with torch.set_grad_enabled(needs.backward), ExitStack() as hooks:
        features = _keep_features(classifier, needs, hooks)
        conv_inputs = _keep_conv_inputs(classifier, hooks) if needs.conv_inputs else []
        scores, activations = classifier(inputs)
    rows, columns = targets.cpu().nonzero(as_tuple=True)
    return Forward(
        classifier, inputs, masks, scores, activations, rows, columns, features, tuple(conv_inputs)
    )


def _module(classifier: Classifier, name: str) -> nn.Module:
    try:
        return classifier.backbone.get_submodule(name)
    except AttributeError:
        known = ", ".join(child for child, _ in classifier.backbone.named_children())
        raise BeyondcamError(f"the backbone has no {name!r}; there are {known}", parameter="layer") from None


def _keep_features(classifier: Classifier, needs: Needs, hooks: ExitStack) -> dict[str, Tensor]:
    """Fill a dictionary with the features of layers, from the pass that is made while the hooks last."""
    kept: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> Tensor:
        if not isinstance(output, Tensor):
            getattr(output, "shape", None)  # of what stands for features that cannot be had, this says why
            raise BeyondcamError(
                f"{name!r} gives {type(output).__name__}; a tensor is needed", parameter="layer"
            )
        if name in kept:
            raise BeyondcamError(
                f"{name!r} runs more than once in a pass; name one that runs once", parameter="layer"
            )
        if name in needs.layer_gradients and not output.requires_grad:
            output = output.detach().requires_grad_()  # the graph begins here
        kept[name] = output
        return output.clone()  # the next module may write to what it reads

    for name in sorted(needs.layers | needs.layer_gradients):
        module = _module(classifier, name)
        hooks.enter_context(module.register_forward_hook(lambda _, __, output, name=name: keep(name, output)))
    return kept


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


class _ScoreModel(nn.Module):
    """A classifier that gives its scores alone, and counts its passes."""

    def __init__(self, classifier: Classifier, passes: Passes) -> None:
        super().__init__()
        self.classifier, self.passes = classifier, passes

    def forward(self, x: Tensor) -> Tensor:
        scores = self.classifier(x).scores
        self.passes.forward += len(x)
        if scores.requires_grad:
            scores.register_hook(self._count_backward)
        return scores

    def _count_backward(self, gradient: Tensor) -> None:
        self.passes.backward += len(gradient)
