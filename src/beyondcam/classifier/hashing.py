"""What a network's function depends on, as ten hexadecimal digits."""

import hashlib
import json
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn


def digest(network: nn.Module) -> str:
    """Ten hexadecimal digits of a network's weights, buffers, modules and their settings.

    They are the same on every device and in every memory format, and do not depend on its mode. Settings are
    the public attributes of modules: numbers, texts, tensors, functions, and lists and dicts of such. Classes
    and functions are known by their names, those without a name of their own by their code.
    """
    content = hashlib.sha256()
    for name, module in network.named_modules():
        settings = {
            key: _written(value)
            for key, value in sorted(vars(module).items())
            if not key.startswith("_") and key != "training"
        }
        content.update(json.dumps([name, _named(type(module)), settings]).encode())
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        content.update(json.dumps([name, str(tensor.dtype), [*tensor.shape]]).encode())
        content.update(_bytes(tensor))
    return content.hexdigest()[:10]


def _written(value: Any) -> Any:
    """A setting in JSON's types; null for what is not known here."""
    if isinstance(value, tuple | list):
        return [_written(entry) for entry in value]
    if isinstance(value, dict):  # but what passes leave behind, and what is left where that is cleared
        known = value and not any(isinstance(entry, Tensor) for entry in value.values())
        return [[_written(key), _written(entry)] for key, entry in value.items()] if known else None
    if isinstance(value, Tensor):
        return [str(value.dtype), [*value.shape], hashlib.sha256(_bytes(value)).hexdigest()]
    if isinstance(value, partial):
        return [_written(value.func), _written(value.args), _written(value.keywords)]
    if callable(value) and hasattr(value, "__qualname__"):
        return [_named(value), *_code(value)]
    return value if isinstance(value, bool | int | float | str) else None


def _named(value: Any) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def _code(function: Any) -> list[Any]:
    """Of a lambda, of a function in a function or in a notebook, what it does, and what is bound in it."""
    code = getattr(function, "__code__", None)
    if code is None or not ("<" in function.__qualname__ or function.__module__ == "__main__"):
        return []
    bound = [*(function.__defaults__ or ()), *(cell.cell_contents for cell in function.__closure__ or ())]
    return [code.co_code.hex(), repr(code.co_names), repr(code.co_consts), *map(_written, bound)]


def _bytes(tensor: Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().flatten()
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""
