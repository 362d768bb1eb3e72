"""The contribution window: the input pixels that one activation of a network can depend on."""

import math
import operator
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functionalize
from torch.fx import Graph, Node
from torch.fx.experimental.proxy_tensor import make_fx

from beyondcam.errors import BeyondcamError

aten = torch.ops.aten
POOLS = {aten.avg_pool2d.default, aten.max_pool2d_with_indices.default}
PADS = {aten.constant_pad_nd.default, aten.reflection_pad2d.default, aten.replication_pad2d.default}
REDUCTIONS = {aten.mean.dim, aten.sum.dim_IntList, aten.amax.default}
CUTS = {aten.cat.default, aten.split.Tensor, aten.split_with_sizes.default, aten.slice.Tensor}
UNTAGGED = {aten.hardswish.default, aten._prelu_kernel.default}  # pointwise, though torch does not say so


class Window(NamedTuple):
    """Along either axis, the activation at position p depends on pixels p·jump + low to p·jump + high.

    Attributes
    ----------
    low, high : first and last pixel, not clipped to the image; ∓inf if the activation depends on all of it.
    jump : pixels between the windows of neighbouring activations; 0 if all have the same window.

    """

    low: float
    high: float
    jump: int

    @property
    def size(self) -> float:
        """Side of the window in pixels."""
        return self.high - self.low + 1


EVERYTHING = Window(-math.inf, math.inf, 0)


def contribution_window(network: nn.Module, size: int) -> Window:
    """The window of `network`'s activations in evaluation mode, for inputs of `size` × `size` pixels.

    It is the smallest interval that contains every pixel that an activation can depend on, through any of its
    channels and whatever the weights. It may be wider where branches with different windows are concatenated
    and split again. Beside the border it leaves out pixels that padding mirrors or repeats further out than
    the next kernel reaches. `size` matters only if the network's padding depends on it. The network is
    neither run nor changed. Raises `BeyondcamError` if it does not turn (1, 3, size, size) into one tensor,
    uses an operation whose effect is not known here, or has another window in height than in width.

    Composed layer by layer as in Araujo et al. 2019, "Computing Receptive Fields of Convolutional Neural
    Networks" (Distill); arXiv 2308.11052 calls the receptive field the contribution window.
    """
    try:
        shapes_only = deepcopy(network).to("meta").eval()  # nothing is computed
        with torch.no_grad():
            graph = make_fx(functionalize(shapes_only))(torch.empty(1, 3, size, size, device="meta")).graph
    except (RuntimeError, AssertionError, TypeError, ValueError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise BeyondcamError(f"contribution window: {size} × {size} pixels do not pass ({reason})") from None
    vertical, horizontal = (_along(axis, graph) for axis in (-2, -1))
    if vertical != horizontal:
        raise BeyondcamError(f"contribution window: {vertical} in height but {horizontal} in width")
    return vertical


def _along(axis: int, graph: Graph) -> Window:
    """The window of the graph's output along `axis`, which counts from the end."""
    windows: dict[Any, Window] = {}
    for node in graph.nodes:
        inputs = {n: windows[n] for n in node.all_input_nodes if n in windows}
        if node.op == "placeholder":
            windows[node] = Window(0, 0, 1)
        elif not inputs:
            continue  # weights, and what depends on them alone
        elif node.op == "output":
            if isinstance(node.args[0], Node):
                return inputs[node.args[0]]
        elif all(w.jump == 0 for w in inputs.values()):
            windows[node] = EVERYTHING
        elif node.target is operator.getitem:  # one of the results of an operation that has several
            (windows[node],) = inputs.values()
        else:
            low, high, jumps = zip(*_parts(axis, node, inputs), strict=True)
            if len({*jumps} - {0}) > 1:
                raise BeyondcamError(f"contribution window: {node.target} joins branches of unequal stride")
            windows[node] = Window(min(low), max(high), max(jumps))
    raise BeyondcamError("contribution window: the network's output is not one tensor made of its input")


def _parts(axis: int, node: Node, inputs: Mapping[Node, Window]) -> Iterable[Window]:
    """Windows whose union is that of `node`, an operation; `inputs` are its arguments with their windows."""
    operation: Any = node.target
    given: dict[str, Any] = {a.name: a.default_value for a in operation._schema.arguments}
    given |= dict(zip(given, node.args, strict=False)) | node.kwargs
    source, (low, high, jump) = next(iter(inputs.items()))
    shape, result = _shape(source), _shape(node)
    dims = given.get("dim", ())
    dims = {d % len(shape) for d in ([dims] if isinstance(dims, int) else dims or range(len(shape)))}

    if operation in POOLS or (operation is aten.convolution.default and not given["transposed"]):
        kernel: Any = given["kernel_size"] if operation in POOLS else _shape(given["weight"])
        settings = kernel, given.get("dilation", [1]), given["padding"], given["stride"] or kernel
        side, dilation, before, stride = ((s * 2)[axis] for s in settings)  # one number holds for both axes
        if [*inputs] == [node.args[0]]:  # and not the weights
            after = (side - 1) * dilation - before
            return [Window(low - before * jump, high + after * jump, jump * stride)]
    elif operation in PADS:
        before = [*(given.get("pad") or given["padding"]), 0, 0][-2 * axis - 2]  # left, right, top, bottom
        return [Window(low - before * jump, high - before * jump, jump)]
    elif operation is aten.native_group_norm.default:
        return [*inputs.values(), EVERYTHING]
    elif operation in REDUCTIONS and len(shape) + axis in dims:
        return [EVERYTHING]
    elif (
        operation in UNTAGGED
        or torch.Tag.pointwise in operation.tags
        or (operation in REDUCTIONS and given["keepdim"])
        or (operation in CUTS and max(dims) < len(shape) - 2)
        or (operation is aten.native_batch_norm.default and not given["training"])
    ) and all(_shape(n)[axis] == result[axis] for n, w in inputs.items() if w.jump):
        return inputs.values()
    raise BeyondcamError(f"contribution window: the effect of {operation} on it is not known")


def _shape(node: Node) -> Sequence[int]:
    value = node.meta["val"]
    return (value if isinstance(value, Tensor) else value[0]).shape
