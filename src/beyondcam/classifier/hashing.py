"""What a network's function depends on, as ten hexadecimal digits."""

import hashlib
import json
from typing import Any

import torch
from torch import nn


def digest(network: nn.Module) -> str:
    """Ten hexadecimal digits of a network's weights, buffers, modules and their settings.

    They are the same on every device and in every memory format, and do not depend on its mode. Settings are
    attributes of modules that JSON can write, such as a stride; code is known by the names of its classes.
    """
    content = hashlib.sha256()
    for name, module in network.named_modules():
        settings = {key: value for key, value in sorted(vars(module).items()) if _is_setting(key, value)}
        kind = f"{type(module).__module__}.{type(module).__qualname__}"
        content.update(json.dumps([name, kind, settings]).encode())
    for name, tensor in (*network.named_parameters(), *network.named_buffers()):
        content.update(json.dumps([name, str(tensor.dtype), [*tensor.shape]]).encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        content.update(flat.view(torch.uint8).numpy().data if flat.numel() else b"")
    return content.hexdigest()[:10]


def _is_setting(key: str, value: Any) -> bool:
    """Whether an attribute of a module is a setting: what is private or a mode is none."""
    if key.startswith("_") or key == "training":
        return False
    if isinstance(value, tuple | list):
        return all(_is_setting("", entry) for entry in value)
    return value is None or isinstance(value, bool | int | float | str)
