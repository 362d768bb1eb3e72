"""Where the network runs, and the other processes that torchrun started for the same job."""

from __future__ import annotations

import atexit
import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

import torch
from torch import distributed, nn

from beyondcam.errors import BeyondcamError

if TYPE_CHECKING:  # importing it takes as long as importing torch
    from lightning_fabric import Fabric

PATIENCE = timedelta(days=7)
"""How long a process waits for the others, which may take days longer than one with a small shard."""

Network = TypeVar("Network", bound=nn.Module)


def processes() -> tuple[int, int]:
    """The rank, from 0, of this process among those that torchrun started, and how many they are."""
    if not distributed.is_torchelastic_launched():
        return 0, 1
    return int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])


def keep_memory(device: torch.device) -> None:
    """Have glibc keep the memory of large tensors for the next ones, in this process, if `device` is a CPU.

    By default it returns each block over 32 MB to the system as soon as it is free, and gets the next one
    page by page, which is a large part of a network's time on a CPU (docs/performance.md). It changes nothing
    with a GPU or another allocator.
    """
    if device.type == "cpu" and sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
        mallopt = ctypes.CDLL(None).mallopt
        trim_threshold, mmap_max = -1, -4  # as malloc.h numbers them
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


OFF = {"fp32_precision": "ieee", "allow_tf32": False}
"""What switches TF32 off, in torch 2.9 and later, and before."""


@contextmanager
def full_float32() -> Iterator[None]:
    """No TF32 in convolutions and products: a GPU's maps would be off by over 0.001 of their maximum.

    `cudnn.flags` does not serve: it switches off what it is not given, cuDNN itself included.
    """
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    if hasattr(cudnn, "conv"):  # once anybody has set these, the flags of before cannot be read
        flags = [(part, "fp32_precision") for part in (cudnn.conv, cudnn.rnn, matmul)]
    else:
        flags = [(part, "allow_tf32") for part in (cudnn, matmul)]
    before = [getattr(part, name) for part, name in flags]
    try:
        for part, name in flags:
            setattr(part, name, OFF[name])
        yield
    finally:
        for (part, name), value in zip(flags, before, strict=True):
            setattr(part, name, value)


def spare_cores() -> int:
    """The cores that the network does not need: all but one, shared with the processes on this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(0, cores // int(os.environ.get("LOCAL_WORLD_SIZE", "1")) - 1)


def open_fabric(backend: str | None = None) -> Fabric:
    """One device, a GPU where there is one; under torchrun each process gets its own, and all are connected.

    Opened once, where a command begins, and passed on. `backend` connects the processes: by default nccl
    between GPUs, gloo between CPUs.
    """
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy
    from lightning_fabric.utilities.exceptions import MisconfigurationException

    _, world = processes()
    # no Apple GPU, since it lacks float64, which maps need
    accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    if world == 1:  # also in a job of SLURM, whose number of tasks says nothing of this one
        return Fabric(accelerator=accelerator, devices=1, plugins=[LightningEnvironment()])
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)  # its banner
    local = int(os.environ["LOCAL_WORLD_SIZE"])
    strategy = DDPStrategy(timeout=PATIENCE, process_group_backend=backend)
    try:
        fabric = Fabric(accelerator=accelerator, strategy=strategy, devices=local, num_nodes=world // local)
    except (MisconfigurationException, ValueError) as error:  # too few GPUs, or nodes that differ
        raise BeyondcamError(f"torchrun --nproc-per-node {local}: {' '.join(str(error).split())}") from None
    fabric.launch()
    atexit.register(_part)  # Lightning does so for nccl alone, and threads of gloo abort a process that ends
    return fabric


def start(backend: str | None = None) -> Fabric:
    """`open_fabric` and `keep_memory`, where a command or a benchmark begins."""
    fabric = open_fabric(backend)
    keep_memory(fabric.device)
    return fabric


def _part() -> None:
    """End the connection between the processes, if it still stands."""
    if distributed.is_initialized():
        distributed.destroy_process_group()


def to_device(network: Network, fabric: Fabric) -> Network:
    """A network on its device, in the memory format that is fastest for convolutions."""
    return network.to(fabric.device).to(memory_format=torch.channels_last)


def synchronised(network: Network, fabric: Fabric) -> Network:
    """A network whose batch norms see the rows of all processes, where these share a batch between GPUs.

    timm's are converted with the activations that they hold, which torch's own conversion drops.
    """
    if fabric.world_size == 1 or fabric.device.type != "cuda":
        return network
    from timm.layers.norm_act import convert_sync_batchnorm

    return cast(Network, convert_sync_batchnorm(network))


def total_of(number: torch.Tensor | float, fabric: Fabric) -> float:
    """The sum of a number over the processes."""
    tensor = torch.as_tensor(number, device=fabric.device)
    return cast(torch.Tensor, fabric.all_reduce(tensor, reduce_op="sum")).item()


def sum_of(tensor: torch.Tensor, fabric: Fabric) -> torch.Tensor:
    """The sum of a tensor over the processes; gradients flow back to all of them."""
    gathered = cast(torch.Tensor, fabric.all_gather(tensor, sync_grads=True))
    return gathered if fabric.world_size == 1 else gathered.sum(0)


def all_of(part: dict[str, str], fabric: Fabric) -> dict[str, str]:
    """The dictionaries of all processes in one."""
    if fabric.world_size == 1:
        return part
    parts: list[dict[str, str]] = [{}] * fabric.world_size
    distributed.all_gather_object(parts, part)
    return {key: value for each in parts for key, value in each.items()}
