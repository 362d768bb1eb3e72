"""Seeds: label images at a threshold.

`beyondcam.seeds.labels` is loaded at once; what reads evidence, and masks to count by, when it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from beyondcam.data import PALETTE
from beyondcam.seeds.labels import LabelFolder, check_size, class_list, encode_labels, encoded, overlay

if TYPE_CHECKING:
    from beyondcam.seeds.export import write_coco, write_npy
    from beyondcam.seeds.write import Written, seed_labels, write_seeds

_LAZY = {
    "Written": "write", "seed_labels": "write", "write_coco": "export", "write_npy": "export",
    "write_seeds": "write",
}  # fmt: skip

__all__ = [
    "PALETTE",
    "LabelFolder",
    "Written",
    "check_size",
    "class_list",
    "encode_labels",
    "encoded",
    "overlay",
    "seed_labels",
    "write_coco",
    "write_npy",
    "write_seeds",
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"beyondcam.seeds.{_LAZY[name]}"), name)
