"""Weights from files: of the layouts that files have, the one that fits a network, or one line why none does.

Nothing in a file is run (`weights_only`). Where names are torchvision's, the file's own network is built and
both are run: weights are matched in the order of their use, and kept only if the scores are the same.
"""

import argparse
import math
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from beyondcam.errors import BeyondcamError, one_line

State = Mapping[str, Tensor]

SCALAR = np.float64(0).__reduce__()[0]
HARMLESS: list[Any] = [
    argparse.Namespace, SCALAR, (SCALAR, "numpy.core.multiarray.scalar"), np.dtype,
    *{type(np.dtype(code)) for code in "fdlqi?"},
]  # fmt: skip
"""Types besides tensors that checkpoints hold and that hold data alone: arguments, and numbers of numpy."""

SHORTCUT = re.compile(r"downsample|shortcut|\.proj\.\d")
"""In names of the weights of shortcuts."""

EQUAL = 5e-4
"""How far scores of two networks of one function may be apart, as a share of the largest."""

SIDE = 96
"""Side of the input that they are compared on, where they take any."""


def read_states(path: Path) -> dict[str, State]:
    """The state dicts in a .safetensors or .pth file, by their key, "" for the file itself.

    `FILE:KEY` reads the one of that key alone. Raises `BeyondcamError`.
    """
    file, _, key = (str(path), "", "") if path.exists() else str(path).rpartition(":")
    if not file or not Path(file).exists():
        raise BeyondcamError(f"{path}: no such weights file")
    states = dict(_states(_load(Path(file))))
    if not states:
        raise BeyondcamError(f"{path}: holds no state dict")
    if key and key not in states:
        raise BeyondcamError(f"{path}: holds no state dict {key!r}; it holds {', '.join(states)}")
    return {key: states[key]} if key else states


def _load(path: Path) -> Any:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals(HARMLESS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise BeyondcamError(f"{path}: not a weights file, or a damaged one ({one_line(error)})") from error


def _states(content: Any, key: str = "") -> Iterator[tuple[str, State]]:
    """The state dicts in what a file holds: names with tensors, at most two levels down."""
    if not isinstance(content, Mapping):
        return
    tensors = {name: x for name, x in content.items() if isinstance(name, str) and isinstance(x, Tensor)}
    if tensors and len(tensors) == len(content):
        yield key, tensors
    elif key.count(".") < 2:
        for name, inner in content.items():
            yield from _states(inner, f"{key}.{name}".lstrip("."))


def fitting(network: nn.Module, path: Path, name: str, *, ordered: bool = False) -> State:
    """Of a file's weights those of `network`, timm's `name` with or without its head, or `BeyondcamError`.

    Names may have a prefix (`module.`, `model.`), and the layout may be torchvision's or, where it is
    `ordered`, one whose names alone are others.
    """
    states = read_states(path)
    matches = {key: fits for key, state in states.items() if (fits := by_name(network, state))}
    if not matches:
        renamed = {key: translated(state, name) for key, state in states.items()}
        matches = {key: fits for key, state in renamed.items() if state and (fits := by_name(network, state))}
    if not matches and ordered:
        matches = {key: fits for key, state in states.items() if (fits := in_order(network, state))}
    if not matches:
        raise BeyondcamError(f"{path}: these weights are not of {name}")
    return only(matches, path)


def only(matches: Mapping[str, State], path: Path) -> State:
    """The one of a file's networks that fits. Raises `BeyondcamError` where several do."""
    if len(matches) > 1:
        first = next(iter(matches))
        raise BeyondcamError(f"{path}: holds {' and '.join(matches)}; say which, as in {path}:{first}")
    return next(iter(matches.values()))


def has_names_of(network: nn.Module, path: Path) -> bool:
    """Whether a file's weights have a network's own names, not torchvision's. Raises `BeyondcamError`."""
    return any(by_name(network, state) for state in read_states(path).values())


def by_name(network: nn.Module, state: State) -> dict[str, Tensor] | None:
    """The tensors of a network's names, under any one prefix; None where one is missing or of another shape.

    Dots and underscores are the same, since timm writes the stages of an encoder either way.
    """
    wanted = {key: (key.replace(".", "_"), tensor.shape) for key, tensor in _weights(network).items()}
    given = {key.replace(".", "_"): tensor for key, tensor in state.items()}
    first = next(iter(wanted.values()))[0]
    for prefix in (key.removesuffix(first) for key in given if f"_{key}".endswith(f"_{first}")):
        if all(
            (x := given.get(prefix + key)) is not None and x.shape == shape for key, shape in wanted.values()
        ):
            return {key: given[prefix + plain] for key, (plain, _) in wanted.items()}
    return None


def in_order(network: nn.Module, state: State) -> dict[str, Tensor] | None:
    """The first tensors of a state dict as a network's; None where these are too few or of other shapes."""
    wanted = _weights(network)
    given = [x for key, x in state.items() if not key.endswith("num_batches_tracked")]
    chosen = dict(zip(wanted, given, strict=False))
    fits = len(chosen) == len(wanted) and all(x.shape == wanted[key].shape for key, x in chosen.items())
    return chosen if fits else None


def translated(state: State, name: str) -> dict[str, Tensor] | None:
    """torchvision's weights as those of timm's whole network `name`; None where they are of another function.

    Options in the name, as in `resnet50,drop_rate=0`, have no part in it.
    Both networks are run on noise. Tensors of one shape are matched in the order of their use, and what comes
    of it is believed where it gives torchvision's scores.
    """
    import timm

    name = name.partition(",")[0]
    theirs = _torchvision(_without_prefix(state), name)
    if theirs is None:
        return None
    theirs = theirs.eval().float()
    options: dict[str, Any] = {"dynamic_img_size": True} if hasattr(theirs, "image_size") else {}
    ours: Any = timm.create_model(name, num_classes=_classes(theirs), **options).eval()
    native = ours.pretrained_cfg["input_size"][-1] if ours.pretrained_cfg["fixed_input_size"] else SIDE
    side = getattr(theirs, "image_size", native)
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    try:
        scores, given = _used(theirs, x)
        _, wanted = _used(ours, x)
    except (RuntimeError, AssertionError):  # ours does not take inputs of this size
        return None
    for apart in (False, True):
        matched = _matched(wanted, given, apart=apart)
        if matched is None:
            continue
        ours.load_state_dict({key: given[name].reshape(wanted[key].shape) for key, name in matched.items()},
                             strict=False)  # fmt: skip
        _carry_epsilon(ours, theirs, matched)
        with torch.no_grad():
            if (ours(x) - scores).abs().max() <= EQUAL * scores.abs().max():
                return {key: tensor.detach() for key, tensor in _weights(ours).items()}
    return None


def _torchvision(state: State, name: str) -> nn.Module | None:
    """torchvision's network of these weights, of those whose names begin as `name`; None if there is none."""
    from torchvision import models

    plain = name.replace("_", "")
    shared = {
        each: len(_common([plain, each.replace("_", "")])) for each in models.list_models(module=models)
    }
    options: dict[str, Any] = {}
    if "encoder.pos_embedding" in state and "conv_proj.weight" in state:
        patches = state["encoder.pos_embedding"].shape[1] - 1
        options["image_size"] = math.isqrt(patches) * state["conv_proj.weight"].shape[-1]
    for each in sorted((each for each in shared if shared[each] >= 3), key=lambda each: -shared[each]):
        net = _without_memory(each, sum(x.numel() for x in state.values()), options)
        wanted = _weights(net) if net else {}
        if not wanted or not wanted.keys() <= state.keys():
            continue
        others = {len(state[key]) for key, x in wanted.items() if len(state[key]) != len(x)}
        net = _without_memory(each, math.inf, options | {"num_classes": others.pop() if others else 1000})
        if net and all(state[key].shape == x.shape for key, x in _weights(net).items()):
            filled = net.state_dict()  # whose versions some networks want
            filled |= {key: state[key] for key in filled if key in state}
            net.load_state_dict(filled, assign=True)
            return net
    return None


def _without_memory(name: str, size: float, options: Mapping[str, Any]) -> nn.Module | None:
    """torchvision's network without its numbers; None where it does not take the options.

    Some compute with tensors while they are made. These come with numbers, if not with thrice `size`.
    """
    from torchvision import models

    try:
        with torch.device("meta"):
            return models.get_model(name, **options)
    except TypeError:
        return None
    except NotImplementedError:
        large = models.get_model_weights(name).DEFAULT.meta["num_params"] > 3 * size
        return None if large else models.get_model(name, **options)


class _Uses(TorchFunctionMode):
    """Notes a network's weights in the order in which calls of functions take them."""

    def __init__(self, weights: State) -> None:
        super().__init__()
        self.names = {id(tensor): name for name, tensor in weights.items()}
        self.order: dict[str, None] = {}

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Note what a call takes, and make it."""
        del types
        taken = (self.names.get(id(x)) for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor))
        self.order |= dict.fromkeys(name for name in taken if name is not None)
        return func(*args, **(kwargs or {}))


def _used(network: nn.Module, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """A network's scores, and its weights in the order of their use."""
    weights = _weights(network)
    with torch.no_grad(), _Uses(weights) as uses:
        scores = network(x)
    return scores, {name: weights[name] for name in uses.order}


def _matched(wanted: State, given: State, *, apart: bool) -> dict[str, str] | None:
    """Pair tensors of one shape in their order; None where there are more on one side than on the other.

    A matrix and a convolution of as many rows and numbers have one shape, as in VGG's head.

    With `apart`, tensors of shortcuts are paired among themselves: some networks use a shortcut before the
    block that it bypasses, and some after it.
    """
    by_shape: tuple[dict[Any, list[str]], ...] = (defaultdict(list), defaultdict(list))
    for groups, weights in zip(by_shape, (wanted, given), strict=True):
        for name, tensor in weights.items():
            rows = next((side for side in tensor.shape if side != 1), 1)
            groups[rows, tensor.numel(), apart and bool(SHORTCUT.search(name))].append(name)
    ours, theirs = by_shape
    if {k: len(v) for k, v in ours.items()} != {k: len(v) for k, v in theirs.items()}:
        return None
    return {name: other for key in ours for name, other in zip(ours[key], theirs[key], strict=True)}


def _carry_epsilon(ours: nn.Module, theirs: nn.Module, matched: Mapping[str, str]) -> None:
    """Have running variances make up for another epsilon, which a file of weights cannot say."""
    for key, other in matched.items():
        name, _, kind = key.rpartition(".")
        if kind == "running_var":
            norm, same = ours.get_submodule(name), theirs.get_submodule(other.rpartition(".")[0])
            norm.running_var.add_(same.eps - norm.eps).clamp_(min=0)  # type: ignore[operator]


def _weights(network: nn.Module) -> dict[str, Tensor]:
    """A network's parameters and statistics by name."""
    return {name: x for name, x in network.state_dict(keep_vars=True).items() if x.is_floating_point()}


def _classes(network: nn.Module) -> int:
    """How many scores a network of torchvision gives: the rows of its last matrix."""
    return [len(tensor) for tensor in _weights(network).values() if tensor.ndim > 1][-1]


def _without_prefix(state: State) -> dict[str, Tensor]:
    """A state dict without what all of its names begin with, such as `module.`."""
    prefix = _common([*state]).rpartition(".")[0]
    return {name[len(prefix) + 1 if prefix else 0 :]: tensor for name, tensor in state.items()}


def _common(texts: Sequence[str]) -> str:
    """What all texts begin with."""
    first, last = min(texts), max(texts)
    return first[: next((n for n, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))]
