"""Where the network runs, and the other processes at the same work: those that torchrun started."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import distributed, nn

from beyondcam.errors import BeyondcamError

if TYPE_CHECKING:  # importing it takes as long as importing torch
    from lightning_fabric import Fabric

PATIENCE = timedelta(days=7)
"""How long a process waits for the others; one whose part was small may have to for days."""

Network = TypeVar("Network", bound=nn.Module)


def processes() -> tuple[int, int]:
    """The rank, from 0, of this process among those that torchrun started, and how many they are."""
    if not distributed.is_torchelastic_launched():
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def keep_memory() -> None:
    """Have glibc keep the memory of large tensors for the next ones, in this process.

    Left alone it hands each block over 32 MB back to the system as soon as it is free, and takes the next one
    page by page, which is a large part of a network's time on a CPU (docs/performance.md). Elsewhere nothing
    changes.
    """
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        mallopt = ctypes.CDLL(None).mallopt
        trim_threshold, mmap_max = -1, -4  # as malloc.h numbers them
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def spare_cores() -> int:
    """The cores that the network can do without: all but one, shared with the other processes here."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1)


def open_fabric(backend: str | None = None) -> Fabric:
    """One device, a GPU where there is one; under torchrun each process its own, and all connected.

    `backend` connects them: by default nccl between GPUs, gloo between CPUs.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    _, world = processes()
    if world == 1:
        return Fabric(accelerator="auto", devices=1)
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its banner
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    strategy = DDPStrategy(timeout=PATIENCE, process_group_backend=backend)
    try:
        fabric = Fabric(accelerator="auto", strategy=strategy, devices=local, num_nodes=world // local)
    except (MisconfigurationException, ValueError) as error:  # too few GPUs, or nodes that differ
        raise BeyondcamError(f"torchrun --nproc-per-node {local}: {' '.join(str(error).split())}") from None
    fabric.launch()
    return fabric


def to_device(network: Network, fabric: Fabric | None = None) -> Network:
    """A network on the GPU where there is one, in the memory format that is fastest for convolutions."""
    device = (fabric or open_fabric()).device
    if device.type == "cpu":
        keep_memory()
    return network.to(device).to(memory_format=torch.channels_last)


def total_of(own: torch.Tensor, fabric: Fabric) -> float:
    """The sum of the processes' numbers."""
    return cast(torch.Tensor, fabric.all_reduce(own, reduce_op="sum")).item()


def all_of(own: dict[str, str], fabric: Fabric) -> dict[str, str]:
    """The dictionaries of all processes in one."""
    if fabric.world_size == 1:
        return own
    parts: list[dict[str, str]] = [{}] * fabric.world_size
    distributed.all_gather_object(parts, own)
    return {key: value for part in parts for key, value in part.items()}
