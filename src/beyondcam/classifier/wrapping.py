"""Any image classifier, as it is: its scores, and class activations where it has them.

The scores come from the network's own `forward`. While it runs, `Tape` records how they were made. So nothing
is taken apart or copied, and later training of the network has its effect.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NoReturn, cast

import torch
from torch import Tensor, nn

from beyondcam.classifier.model import (
    Activations,
    Classifier,
    Network,
    check_gradient,
    checked_label,
    evaluating,
    taking,
)
from beyondcam.classifier.preprocessing import Reversed, Transform, find_classes, find_input
from beyondcam.classifier.probe import fault, is_scrambled, quadrants, tolerance
from beyondcam.classifier.tape import Tape, Unpooled
from beyondcam.devices import full_float32
from beyondcam.errors import BeyondcamError, shape_of

Pass = tuple[Tensor, Tape]
"""The scores of a pass, and what was seen of it."""


class Trunk(nn.Module):
    """A network up to its last mean over places: normalised images (B, 3, H, W) → features (B, K, h, w).

    It runs the whole network, and adds scores and tape to `passes`, where that is given.
    """

    def __init__(self, net: nn.Module, classes: int, logits: Callable[[Any], Tensor] | None) -> None:
        super().__init__()
        self.net = net
        self.classes = classes
        self.logits = logits or partial(logits_of, classes=classes)

    def forward(self, x: Tensor, passes: list[Pass] | None = None) -> Tensor:
        """Run the network, in evaluation mode, and take the features out of the pass."""
        like = next(self.net.parameters(), x)
        with taking(x), evaluating(self.net), Tape(x.shape[2], x.shape[3], self.classes) as tape:
            output = self.net(x.to(like.device, like.dtype, copy=True))  # a first layer may work in place
        scores = self.logits(output)
        check_gradient(x, scores)
        if passes is not None:
            passes.append((scores, tape))
        features = tape.features(scores)
        return refused(features) if isinstance(features, str) else features


class Wrapped(Classifier):
    """Any network as a `Classifier`, referenced, not copied; `wrap` makes it.

    The network runs in evaluation mode and is left in the mode it was in; `train()` and `eval()` of this
    object do nothing. If its scores are not a mean over places, reading `activations` raises
    `BeyondcamError`; scores and their gradients work all the same.

    Parameters
    ----------
    net, classes, mean, std, size, single_label, logits : as of `wrap`.

    Attributes
    ----------
    backbone : the network up to its last mean over places, (B, 3, H, W) → features (B, K, h, w).
    weight : the head's, (C, K) or (C, K, 1, 1), the network's own parameter.

    """

    def __init__(
        self,
        net: nn.Module,
        classes: Sequence[str],
        mean: Sequence[float],
        std: Sequence[float],
        size: int,
        *,
        single_label: bool = True,
        logits: Callable[[Any], Tensor] | None = None,
    ) -> None:
        Network.__init__(self, classes, mean, std, size)
        self.backbone = Trunk(net, len(classes), logits)
        self.bias = None
        self._faults: dict[object, str | None] = {}
        self._refusal, weight = self._probe()
        self.single_label = checked_label(single_label, classes)
        self.weight = weight if isinstance(weight, nn.Parameter) else next(net.parameters())

    @property
    def net(self) -> nn.Module:
        """The network itself."""
        return cast(Trunk, self.backbone).net

    def train(self, mode: bool = True) -> "Wrapped":
        """Leave the network in the mode that its owner chose."""
        del mode
        return self

    def forward(self, x: Tensor) -> Activations:
        """Scores and class activations of normalised images (B, 3, H, W), on the device of these."""
        passes: list[Pass] = []
        self.backbone(x, passes)
        ((scores, tape),) = passes
        unpooled = self._refusal or tape.unpooled(scores)
        reason = unpooled if isinstance(unpooled, str) else self._fault(x, scores, unpooled)
        activations = refused(reason) if reason else cast(Unpooled, unpooled).maps.to(x.device)
        return Activations(scores.to(x.device), activations)

    def _fault(self, x: Tensor, scores: Tensor, unpooled: Unpooled) -> str | None:
        """What is wrong with the activations of inputs of this size, as the first that give numbers show."""
        key = scores.dtype, *x.shape[2:]
        if key not in self._faults:
            if not (len(scores) and scores.isfinite().all()):  # NaN of one photo says nothing of the others
                return None
            self._faults[key] = fault(scores, unpooled)
        return self._faults[key]

    def _probe(self) -> tuple[str | None, Tensor | None]:
        """Try the network on noise: why its activations are not to be read, if so, and its head's weight."""
        x = quadrants(self.size)
        self._refusal, passes = None, list[Pass]()
        with torch.inference_mode(False), torch.no_grad():
            features = self.backbone(x, passes)
            alone = self(x[:1]).scores
        ((scores, tape),) = passes
        if not scores.isfinite().all():
            raise BeyondcamError("gives NaN or infinite scores for noise", parameter="network")
        if (scores[:1].to(alone.device) - alone).abs().max() > tolerance(scores) * scores.abs().max():
            raise BeyondcamError(
                "its scores of an image change with the other images of a batch or from pass to "
                "pass (batch norm without running statistics, or dropout that is always on?)",
                parameter="network",
            )
        if tape.are_probabilities(scores):
            raise BeyondcamError(
                "its output are probabilities; leave out its last softmax or sigmoid", parameter="network"
            )
        unpooled = tape.unpooled(scores)
        if isinstance(unpooled, Unpooled) and is_scrambled(features):
            return "its places are in another order than the photo's", tape.weight
        return unpooled if isinstance(unpooled, str) else None, tape.weight


@full_float32()
def wrap(
    net: nn.Module,
    classes: Sequence[str] | None = None,
    *,
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    size: int | None = None,
    weights: Any = None,
    processor: Any = None,
    transform: Transform | None = None,
    single_label: bool = True,
    logits: Callable[[Any], Tensor] | None = None,
) -> Wrapped:
    """Make a `Classifier` of any image classifier: of torchvision, timm or transformers, or your own.

    The network is referenced, not copied: later training has its effect, and mode, parameters, gradients and
    hooks stay as they are. Its scores do not change. It is run once on seven images of noise.

    Class activations, and with them CAM, exist if the network ends with global average pooling, followed by
    norms and linear layers only. For other networks (class tokens, flattened features, hidden layers in the
    head) maps of gradients work, and CAM raises an error that says why it does not.

    Parameters
    ----------
    net
        takes normalised images (B, 3, H, W) and gives logits (B, C): a tensor, the entry `logits` of what it
        gives, or the only tensor of that shape in it.
    classes
        C names, each once; by default those of `weights` or of the network, or ImageNet's if it has 1,000.
    mean, std
        of the input's three channels, for pixels in [0, 1].
    size
        side in pixels of the square input. Mean, std and size are read from timm's `pretrained_cfg`,
        `weights`, `processor` or `transform`; without any of these they must be given.
    weights
        the torchvision weights, such as `ResNet50_Weights.DEFAULT`, whose transforms the network takes.
    processor
        transformers' image processor.
    transform
        from a PIL picture to the network's input (3, size, size), as used in validation.
    single_label
        True for one of several classes an image (softmax), as of networks trained with cross-entropy; False
        for any number (sigmoid), as of those trained with binary cross-entropy, and for a single class.
        `classify` and recipes that weigh views by the class's probability, such as "crops", depend on it.
    logits
        a function that takes the logits (B, C) out of what the network gives, if that is ambiguous.

    Returns
    -------
    On the network's device.

    Raises
    ------
    BeyondcamError
        If an argument is missing, or the network cannot be used.

    Examples
    --------
    >>> import timm
    >>> classifier = wrap(timm.create_model("resnet18", num_classes=2), ["cat", "dog"])
    >>> classifier.size, classifier.classes
    (224, ('cat', 'dog'))

    """
    if not isinstance(net, nn.Module):
        raise BeyondcamError(f"a torch.nn.Module is needed, not {shape_of(net)}", parameter="net")
    if next(net.parameters(), None) is None:
        raise BeyondcamError("has no parameters; its weights must be some", parameter="network")
    while isinstance(net, nn.DataParallel | nn.parallel.DistributedDataParallel):
        net = net.module
    net = getattr(net, "_orig_mod", net)  # what torch.compile was given
    known = find_input(net, weights, processor, transform)
    numbers = known.or_given(mean, std, size)
    names = find_classes(net, weights) if classes is None else classes
    shown = Reversed(net) if known.bgr else net
    return Wrapped(shown, names, *numbers, single_label=single_label, logits=logits)


def logits_of(output: Any, classes: int) -> Tensor:
    """The logits (B, C) in what a network gives. Raises `BeyondcamError` where several may be it."""
    if isinstance(output, Tensor):
        tensors = [output]
    elif "logits" in (getattr(output, "_fields", None) or (output if isinstance(output, Mapping) else ())):
        tensors = [output["logits"] if isinstance(output, Mapping) else output.logits]
    else:
        values = [*output.values()] if isinstance(output, Mapping) else output
        values = values if isinstance(values, list | tuple) else ()
        tensors = [x for x in values if isinstance(x, Tensor) and x.ndim == 2 and x.shape[1] == classes]
    if len(tensors) != 1:
        raise BeyondcamError(
            f"gives a {type(output).__name__} with {len(tensors)} tensors (B, {classes}); have it "
            "give its logits alone, or give `wrap` a function `logits` that takes them out",
            parameter="network",
        )
    scores = tensors[0][:, None] if tensors[0].ndim == classes == 1 else tensors[0]
    if scores.ndim != 2 or scores.shape[1] != classes:
        gives = f"{scores.shape[1]} scores" if scores.ndim == 2 else shape_of(scores)
        raise BeyondcamError(f"{classes} are given, the network gives {gives}", parameter="classes")
    return scores


class _Refused:
    """Stands where a tensor would: whoever reads it is told why it is not there."""

    def __init__(self, reason: str) -> None:
        self.__dict__["reason"] = reason

    def __getattr__(self, name: str) -> NoReturn:
        """Raise the reason."""
        raise BeyondcamError(
            f"cannot read this network: {self.__dict__['reason']}; take a map of gradients, such as saliency",
            parameter="cam",
        )

    def __getitem__(self, which: object) -> NoReturn:
        """Raise the reason."""
        self.__getattr__("")


def refused(reason: str) -> Tensor:
    """A tensor that is not there: reading it raises `BeyondcamError`."""
    return cast(Tensor, _Refused(reason))
