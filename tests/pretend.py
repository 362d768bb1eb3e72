"""A GPU that is not there: its tensors say `cuda:0`, compute on the CPU, and refuse what CUDA refuses.

That is `numpy()`, and an operation on tensors of both devices, but for single numbers, copies, and indices of
a tensor on the GPU. It cannot show times, memory and rounding; and a list as an index, which torch turns into
numbers unseen, gives anything: write `torch.tensor(list)`.

    with pretend_gpu():
        classifier.to("cuda")
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

aten = torch.ops.aten
GPU = torch.device("cuda", 0)
INDEXING = (aten.index.Tensor, aten.index_put.default, aten.index_put_.default, aten._unsafe_index.Tensor)


class OnGpu(Tensor):
    """A tensor whose numbers are those of `real`, on the CPU."""

    real_numbers: Tensor

    @staticmethod
    def __new__(cls, real: Tensor, requires_grad: bool = False) -> "OnGpu":
        made = Tensor._make_wrapper_subclass(
            cls, real.size(), strides=real.stride(), storage_offset=real.storage_offset(), dtype=real.dtype,
            device="meta", requires_grad=requires_grad,
        )  # fmt: skip
        made.real_numbers = real
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl
    device = property(lambda self: GPU)
    is_cuda = property(lambda self: True)
    is_meta = property(lambda self: False)

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatch(function, args, kwargs or {})

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


class Event:
    """A moment on the GPU, which takes no time."""

    def __init__(self, **options: object) -> None:
        pass

    def record(self, *stream: object) -> None:
        pass

    def elapsed_time(self, later: "Event") -> float:
        return 0.0


class Mode(TorchDispatchMode):
    """Has tensors that are made with a device made there."""

    _mode_key = torch._C._TorchDispatchModeKey.FAKE

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return dispatch(function, args, kwargs or {})


def real(x: Tensor) -> Tensor:
    return x.real_numbers if isinstance(x, OnGpu) else x


def dispatch(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """One operation, on the CPU; what it gives is on the GPU where anything that it takes is, or is to be."""
    device = kwargs.pop("device", None)
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    on_gpu = [x for x in tensors if isinstance(x, OnGpu)]
    asked = device is not None and torch.device(device).type in ("cuda", "meta")
    if function is aten.copy_.default:
        real(args[0]).copy_(real(args[1]))
        return args[0]
    if "pin_memory" in str(function):
        return args[0]
    if function is aten._to_copy.default:
        stays = on_gpu and device is None
    else:
        check(function, args, tensors, on_gpu)
        stays = on_gpu
    if device is not None:
        kwargs["device"] = "cpu"
    kwargs.pop("pin_memory", None)
    result = function(*tree_map_only(Tensor, real, args), **tree_map_only(Tensor, real, kwargs))
    if not (stays or asked):
        return result
    known = {id(x.real_numbers): x for x in on_gpu}  # of operations in place
    return tree_map_only(Tensor, lambda x: known[id(x)] if id(x) in known else OnGpu(x), result)


def check(function: Any, args: Any, tensors: list[Tensor], on_gpu: list[OnGpu]) -> None:
    """Raise `RuntimeError` where tensors are on both devices."""
    others = [x for x in tensors if not isinstance(x, OnGpu) and x.ndim]
    if function in INDEXING and isinstance(args[0], OnGpu):
        indices = {id(x) for x in args[1] if x is not None}
        others = [x for x in others if id(x) not in indices]
    if on_gpu and others:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found cuda:0 and cpu: {function}"
        )


def moved(make: Any) -> Any:
    """`torch.tensor` and the like, which do not ask the mode."""

    def making(data: Any, *, device: Any = None, **options: Any) -> Tensor:
        made = data if isinstance(data, OnGpu) else make(data, **options)
        return made if device is None else made.to(device)

    return making


@contextmanager
def pretend_gpu() -> Iterator[None]:
    """Have a GPU for a while."""
    torch._C._ensureCUDADeviceGuardSet()
    absent = {
        "torch.cuda._lazy_init": lambda: None,
        "torch.cuda.Event": Event,
        "torch.cuda.current_stream": lambda *_: None,
        "torch.cuda.synchronize": lambda *_: None,
        "torch.random.fork_rng": lambda *_, **__: nullcontext(),
        "torch.tensor": moved(torch.tensor),
        "torch.as_tensor": moved(torch.as_tensor),
    }
    patches = [mock.patch(name, instead) for name, instead in absent.items()]
    for patch in patches:
        patch.start()
    try:
        with Mode():
            yield
    finally:
        for patch in patches:
            patch.stop()
