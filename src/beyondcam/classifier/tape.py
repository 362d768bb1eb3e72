"""What one pass of any network does between its last mean over places and its scores.

Every call of a torch function in the pass comes by here (`TorchFunctionMode`), so that it makes no difference
whether a network pools with a module, a function or a method, with its channels first, last or as tokens.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class Unpooled(NamedTuple):
    """A pooled tensor (B, K) as it was before pooling: the mean of `maps` over their places, plus `constant`.

    Attributes
    ----------
    maps : float (B, K, h, w).
    constant : float (B or 1, K), the part that is the same at every place, such as a bias.

    """

    maps: Tensor
    constant: Tensor

    def pooled(self) -> Tensor:
        """What comes of it: float (B, K)."""
        return self.maps.mean((2, 3)) + self.constant


Later = Callable[[], Unpooled]
"""An `Unpooled` that is computed on demand: most pooled tensors of a pass are gates, not scores."""


class _Derived(NamedTuple):
    """A tensor made of a mean over places, which is kept so that no other tensor takes its id."""

    tensor: Tensor
    features: Tensor  # (B, K, h, w)
    unpooled: Later | str


class Tape(TorchFunctionMode):
    """Follows the pass that is made inside `with Tape(height, width, classes) as tape:`.

    Parameters
    ----------
    height, width : of the input, whose proportions the grid of tokens has.
    classes : how many scores an image has.

    Attributes
    ----------
    weight : of the last linear layer or convolution.

    """

    def __init__(self, height: int, width: int, classes: int) -> None:
        super().__init__()
        self.ratio = height / width
        self.classes = classes
        self.weight: Tensor | None = None
        self._derived: dict[int, _Derived] = {}
        self._otherwise = "no mean over places comes before its head"
        self._probabilities: Tensor | None = None

    def __enter__(self) -> Self:
        super().__enter__()
        return self

    def unpooled(self, scores: Tensor) -> Unpooled | str:
        """Scores as they were before pooling, or, where they are no mean over places, the reason."""
        entry = self._derived.get(id(scores))
        later = entry.unpooled if entry else self._otherwise
        return later if isinstance(later, str) else later()

    def features(self, scores: Tensor) -> Tensor | str:
        """The features, float (B, K, h, w), whose mean over places gives the scores; or why there are none.

        The features are in the autograd graph between the input and the scores.
        """
        entry = self._derived.get(id(scores))
        return entry.features if entry else self._otherwise

    def are_probabilities(self, scores: Tensor) -> bool:
        """Whether scores come out of a softmax or sigmoid."""
        return scores is self._probabilities

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Make the call, and record it."""
        del types
        kwargs = kwargs or {}
        first = next(iter(kwargs), "")
        if not args and first in {"input", "tensors"}:  # as good as without a name
            args, kwargs = (kwargs[first],), {key: value for key, value in kwargs.items() if key != first}
        dims = _pooled_dims(func, args, kwargs)
        features = None
        if dims is not None:
            features = _features(args[0], dims, self.ratio)
            if features is not None:
                args = (_restored(features, args[0].ndim, dims), *args[1:])
        result = func(*args, **kwargs)
        if not isinstance(result, Tensor):
            return result
        if features is not None and (func is not F.avg_pool2d or result.shape[2:] == (1, 1)):
            self._begin(features, result)
        else:
            self._follow(func, args, kwargs, result)
        return result

    def _begin(self, features: Tensor, pooled: Tensor) -> None:
        """Follow another mean over places; of those before it none but what may be the scores is kept."""
        start = Unpooled(features, features.new_zeros(1, features.shape[1]))
        kept = {
            key: known for key, known in self._derived.items() if known.tensor.shape[1:] == (self.classes,)
        }
        self._derived = kept | {id(pooled): _Derived(pooled, features, lambda: start)}

    def _follow(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Tensor) -> None:
        """Record what a call makes of pooled tensors."""
        name = getattr(func, "__name__", str(func))
        if func in (F.linear, F.conv2d):
            self.weight = args[1] if len(args) > 1 else kwargs["weight"]
        if name in ("softmax", "sigmoid"):
            self._probabilities = result
        entries = [self._derived.get(id(x)) for x in _leaves((*args, *kwargs.values()))]
        made_of = [entry for entry in entries if entry]
        if not made_of:
            self._notice(name, args, result)
            return
        reason = next((entry.unpooled for entry in made_of if isinstance(entry.unpooled, str)), None)
        later = reason or self._rule(func, name, args, kwargs)
        otherwise = f"{name.strip('_')} stands between pooling and scores"
        self._derived[id(result)] = _Derived(result, made_of[0].features, later or otherwise)

    def _rule(self, func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Later | None:
        """How a result is made of what the arguments were before pooling; None where that is unknown."""
        first, *others = [self._unpooled_of(arg) for arg in args] or [None]
        if first is None:
            return None
        if name in SHAPES:
            return first
        if func in RULES:
            rule, rest = RULES[func], args[1:]
            return (lambda: rule(first(), *rest, **kwargs)) if _applies(func, args[0], rest, kwargs) else None
        if name in ("add", "__add__") and len(args) == 2 and not kwargs and others[0]:
            other = others[0]
            return lambda: Unpooled(*(a + b for a, b in zip(first(), other(), strict=True)))
        if name in ("mul", "__mul__", "div", "__truediv__") and len(args) == 2 and not kwargs:
            factor = args[1]
            if isinstance(factor, int | float):
                return lambda: Unpooled(*(func(part, factor) for part in first()))
        return None

    def _unpooled_of(self, value: Any) -> Later | None:
        entry = self._derived.get(id(value))
        return None if entry is None or isinstance(entry.unpooled, str) else entry.unpooled

    def _notice(self, name: str, args: tuple[Any, ...], result: Tensor) -> None:
        """Why there may be no mean over places: one token is read, or all places are strung together."""
        x = args[0] if args else None
        if not isinstance(x, Tensor) or result.ndim != 2:
            return
        if x.ndim == 3 and name in ("__getitem__", "select"):
            self._otherwise = "its head reads one token, such as a class token, and no places"
        if x.ndim == 4 and x.shape[-1] > 1 and name in ("flatten", "view", "reshape"):
            self._otherwise = "it flattens its features before its head, so no score is a mean over places"


SHAPES = frozenset(
    {
        "flatten", "view", "reshape", "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "clone",
        "to", "float", "half", "double", "bfloat16", "type_as", "dropout", "dropout2d", "__getitem__",
        "select",
    }
)  # fmt: skip
"""Calls that change a pooled tensor's shape or dtype at most. (All of its channels: what is verified on a
probe.)"""


def _linear(x: Unpooled, weight: Tensor, bias: Tensor | None = None) -> Unpooled:
    """A linear layer, at every place."""
    maps = F.conv2d(x.maps, weight[:, :, None, None])  # (B, C, h, w)
    return Unpooled(maps, F.linear(x.constant, weight, bias))


def _conv2d(x: Unpooled, weight: Tensor, bias: Tensor | None = None, *_: Any, **__: Any) -> Unpooled:
    """A 1×1 convolution, at every place."""
    return _linear(x, weight[:, :, 0, 0], bias)


def _batch_norm(
    x: Unpooled,
    running_mean: Tensor,
    running_var: Tensor,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Unpooled:
    """A batch norm in evaluation mode, at every place."""
    del training, momentum
    scale = (running_var + eps).rsqrt() * (1 if weight is None else weight)  # (K,)
    constant = (x.constant - running_mean) * scale
    return Unpooled(x.maps * scale[:, None, None], constant if bias is None else constant + bias)


def _layer_norm(
    x: Unpooled,
    normalized_shape: Any,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
) -> Unpooled:
    """A layer norm of the pooled tensor: its variance is the whole image's, and everything else is linear."""
    del normalized_shape
    variance = x.pooled().var(1, correction=0, keepdim=True)  # (B, 1)
    scale = (variance + eps).rsqrt() * (1 if weight is None else weight)  # (B, K)
    maps = (x.maps - x.maps.mean(1, keepdim=True)) * scale[:, :, None, None]
    constant = (x.constant - x.constant.mean(1, keepdim=True)) * scale
    return Unpooled(maps, constant if bias is None else constant + bias)


RULES: dict[Any, Callable[..., Unpooled]] = {
    F.linear: _linear,
    F.conv2d: _conv2d,
    F.batch_norm: _batch_norm,
    F.layer_norm: _layer_norm,
}


def _applies(func: Any, x: Tensor, rest: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a rule describes this call of its function: of convolutions, those that are a linear layer."""
    if func is not F.conv2d:
        return True
    weight = rest[0] if rest else kwargs["weight"]
    return weight.shape[1:] == (x.shape[1], 1, 1)


def _pooled_dims(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int, ...] | None:
    """The dimensions of places that a call takes the mean over, if it does."""
    x = args[0] if args else None
    if not isinstance(x, Tensor) or x.ndim not in (3, 4):
        return None
    if func in (F.adaptive_avg_pool2d, F.adaptive_avg_pool1d):
        size = args[1] if len(args) > 1 else kwargs["output_size"]
        whole = {*size} == {1} if isinstance(size, tuple | list) else size == 1
        dims = range(2, 4 if func is F.adaptive_avg_pool2d else 3)
        return tuple(dims) if whole and x.ndim == len(dims) + 2 else None
    if func is F.avg_pool2d:
        return (2, 3) if x.ndim == 4 else None
    if func in (torch.mean, Tensor.mean):
        dim = args[1] if len(args) > 1 else kwargs.get("dim", kwargs.get("axis"))
        listed = [dim] if isinstance(dim, int) else dim or ()
        places = tuple(sorted(d % x.ndim for d in listed))
        return places if places in {3: ((1,), (2,)), 4: ((1, 2), (2, 3))}[x.ndim] else None
    return None


def _features(x: Tensor, dims: tuple[int, ...], ratio: float) -> Tensor | None:
    """A tensor whose `dims` are places, as features (B, K, h, w); None where its tokens form no grid."""
    if dims == (2, 3):
        return x
    if dims == (1, 2):
        return x.permute(0, 3, 1, 2)
    tokens = x.shape[dims[0]]
    grid = round(math.sqrt(tokens * ratio)), round(math.sqrt(tokens / ratio))
    if math.prod(grid) != tokens:
        return None
    return (x.mT if dims == (1,) else x).unflatten(2, grid)


def _restored(features: Tensor, ndim: int, dims: tuple[int, ...]) -> Tensor:
    """What `_features` was given, made of features: the network goes on with it, so they are in its graph."""
    if dims == (2, 3):
        return features
    if ndim == 4:
        return features.permute(0, 2, 3, 1)
    flat = features.flatten(2)
    return flat.mT if dims == (1,) else flat


def _leaves(values: tuple[Any, ...]) -> Iterator[Tensor]:
    """The tensors among arguments, also in lists of them."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _leaves(tuple(value))
