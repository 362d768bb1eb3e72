"""What a training keeps on disk: a checkpoint that a killed one goes on from, and in the end the weights."""

import hashlib
import io
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from beyondcam.errors import BeyondcamError, one_line
from beyondcam.files import locked, write_whole

if TYPE_CHECKING:  # importing it takes as long as importing torch
    from lightning_fabric import Fabric

CHECKPOINT = "checkpoint.pt"
"""In the folder that a training writes to, from its first whole epoch until it is done."""

State = dict[str, Any]


@contextmanager
def alone_in(folder: Path, fabric: "Fabric") -> Iterator[None]:
    """Make a folder and keep other trainings out of it until this one ends, even by a kill.

    Of several processes the first does so. Raises `BeyondcamError` where another training is at work there.
    """
    with ExitStack() as stack:
        if fabric.is_global_zero:
            try:
                stack.enter_context(locked(folder, wait=False))
            except BlockingIOError:
                raise BeyondcamError(
                    f"{folder}: another training is at work there; wait for its end"
                ) from None
        yield


def write_checkpoint(folder: Path, state: State) -> None:
    """Write all that the next epoch starts from."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_whole(folder / CHECKPOINT, buffer.getvalue())


def read_checkpoint(folder: Path, key: str) -> State | None:
    """The checkpoint with this `key`, None without one. Raises `BeyondcamError` where it is damaged."""
    path = folder / CHECKPOINT
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return state if state["key"] == key else None
    except (FileNotFoundError, NotADirectoryError):  # the latter is said where the folder is made
        return None
    except Exception as error:  # torch raises what it likes on a broken file
        raise BeyondcamError(f"{path}: not a checkpoint ({one_line(error)}); delete it") from error


def write_weights(path: Path, weights: Mapping[str, Tensor]) -> None:
    """Write a state dict as safetensors."""
    write_whole(
        path, safetensors.torch.save({name: value.cpu().contiguous() for name, value in weights.items()})
    )


def restore(network: nn.Module, path: Path, what: str, made_by: str) -> str:
    """Fill a network from the file of one like it; return ten hexadecimal digits of the file's hash.

    Raises `BeyondcamError` where it is not `what`, or not there: the command `made_by` makes it.
    """
    try:
        content = path.read_bytes()
        weights = safetensors.torch.load(content)
        network.load_state_dict(weights)
    except FileNotFoundError:
        raise BeyondcamError(f"{path}: not there; `{made_by}`, run to its end, makes it") from None
    except (OSError, SafetensorError) as error:
        raise BeyondcamError(f"{path}: not {what} ({error})") from None
    except RuntimeError:
        raise BeyondcamError(f"{path}: not {what}, as the settings beside it have it") from None
    if not all(values.isfinite().all() for values in weights.values()):
        raise BeyondcamError(f"{path}: holds NaN or infinite weights; `{made_by}` makes it anew")
    return hashlib.sha256(content).hexdigest()[:10]
