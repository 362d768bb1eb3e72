"""The training loop of both networks.

All draws of an epoch depend on (seed, epoch, id) and its dropout on (seed, epoch, process), so that a
training that was killed goes on after its last whole epoch and ends, on a CPU, with the bytes of one that
was not. A GPU adds up in an order of its own.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from beyondcam.devices import all_of, total_of
from beyondcam.errors import BeyondcamError
from beyondcam.perturbations import generator
from beyondcam.progress import Log, duration, track
from beyondcam.training.checkpoint import State, write_checkpoint
from beyondcam.training.samples import Batch, Index, Samples, Settings


@dataclass
class Progress:
    """What a training has come to: facts of each epoch, images left out, weights to keep and their mAP."""

    epochs: list[dict[str, Any]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    weights: dict[str, Tensor] = field(default_factory=dict)
    best: float = 0.0


@dataclass(frozen=True)
class Trainer:
    """A training.

    Attributes
    ----------
    network : on its device.
    optimizer : of its parameters; each group's learning rate is the highest of its schedule.
    samples, batches : the images, and epoch to the batches of this process.
    loss : (network, batch, fabric) to the loss of this process's rows, whose mean over the processes is that
        of all rows; None, in every process, for a batch that nothing can be learnt from.
    config, epochs : the settings; the number of passes over the images.
    fabric, log : the device and the processes; what gets a line after each epoch.
    frozen : the part of the network whose batch norms keep their statistics.
    ema : decay of a running average of the weights, which is kept instead of the weights themselves.
    validate : network to its mAP on held-out images, None where none can be read, and those left out. The
        epoch with the highest is kept; without this, the last.
    held_out : how many images these are.

    """

    network: nn.Module
    optimizer: torch.optim.Optimizer
    samples: Samples
    batches: Callable[[int], list[list[Index]]]
    loss: Callable[[nn.Module, Batch, Fabric], Tensor | None]
    config: Settings
    epochs: int
    fabric: Fabric
    log: Log
    frozen: nn.Module | None = None
    ema: float | None = None
    validate: Callable[[nn.Module], tuple[float | None, dict[str, str]]] | None = None
    held_out: int = 0

    def fit(self, folder: Path, key: str, state: State | None) -> Progress:
        """Train, from the start or the checkpoint `state`; write a checkpoint with `key` after every epoch.

        Under torchrun the processes share the rows of every batch and average their gradients; the first
        alone validates, logs and writes. Raises `BeyondcamError` where nothing can be learnt, or the training
        diverges.
        """
        model, optimizer = self.fabric.setup(self.network, self.optimizer)
        parts: dict[str, Any] = {"network": self.network, "optimizer": self.optimizer}
        average = None
        if self.ema is not None:
            decay = get_ema_multi_avg_fn(self.ema)
            parts["average"] = average = AveragedModel(self.network, multi_avg_fn=decay, use_buffers=True)
        candidate = average.module if average else self.network
        for norm in _batch_norms(self.network):
            norm.register_forward_pre_hook(_spare_single_values)
        for group in self.optimizer.param_groups:
            group["initial_lr"] = group["lr"]
        progress = Progress()
        if state:
            progress = Progress(**state["progress"])
            for name, part in parts.items():
                part.load_state_dict(state[name])
        started, begun, taught = time.monotonic(), len(progress.epochs), bool(progress.epochs)
        for epoch in range(begun, self.epochs):
            loss, left_out = self._train_epoch(model, optimizer, average, epoch)
            progress.left_out |= all_of(left_out, self.fabric)
            taught |= loss is not None
            if not all(weights.isfinite().all() for weights in self.network.parameters()):
                raise BeyondcamError(
                    f"the weights are not finite after epoch {epoch + 1}; lower it", parameter="lr"
                )
            if self.fabric.is_global_zero:  # the others wait for it in the next batch
                message = self._choose(candidate, progress, loss)
                if rest := self.epochs - epoch - 1:
                    pace = (time.monotonic() - started) / (epoch + 1 - begun)
                    message += f", about {duration(pace * rest)} left"
                self.log(message)
                states = {name: part.state_dict() for name, part in parts.items()}
                if taught:  # else there is nothing to go on from
                    write_checkpoint(folder, {"key": key, "progress": vars(progress), **states})
        if not taught:
            image, reason = min(progress.left_out.items(), default=("labels", "all void"))
            raise BeyondcamError(f"none of the images can be trained on; {image}: {reason}")
        return progress

    def _train_epoch(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, average: AveragedModel | None, epoch: int
    ) -> tuple[float | None, dict[str, str]]:
        """The mean loss over the batches, None if nothing could be learnt, and the images left out."""
        fabric, config, batches = self.fabric, self.config, self.batches(epoch)
        torch.manual_seed(int(generator(config.seed, "dropout", epoch, fabric.global_rank).integers(2**63)))
        total, taken = 0.0, 0
        left_out: dict[str, str] = {}
        what, later = f"epoch {epoch + 1}/{self.epochs}", (self.epochs - epoch - 1) * len(batches)
        shown = track(self.samples.batches(batches), what, len(batches), later)
        for step, batch in enumerate(shown, epoch * len(batches)):
            left_out |= batch.left_out
            rate = learning_rate(step, self.epochs * len(batches), config.warmup)
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["initial_lr"]
            self.network.train()
            for norm in _batch_norms(self.frozen):
                norm.eval()
            loss = self.loss(model, batch, fabric)
            if loss is None:
                continue
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
            if average:
                average.update_parameters(self.network)
            value = total_of(loss.detach(), fabric) / fabric.world_size
            if not math.isfinite(value):
                raise BeyondcamError(f"the loss is {value} in epoch {epoch + 1}; lower it", parameter="lr")
            total, taken = total + value, taken + 1
        return total / taken if taken else None, left_out

    def _choose(self, candidate: nn.Module, progress: Progress, loss: float | None) -> str:
        """Add an epoch to the progress, and keep its weights if they are the best so far; in words."""
        facts: dict[str, Any] = {"epoch": len(progress.epochs) + 1, "loss": loss}
        message = f"epoch {facts['epoch']} of {self.epochs}: loss {_told(loss)}"
        ap = None
        if self.validate:
            ap, unread = self.validate(candidate)
            progress.left_out |= unread
            facts["held_out_map"] = ap
            message += f", mAP on held-out photos ({self.held_out - len(unread)}) {_told(ap)}"
        if ap is None or ap >= progress.best:
            progress.best = ap or progress.best
            weights = candidate.state_dict().items()
            progress.weights = {name: value.to("cpu", copy=True).contiguous() for name, value in weights}
        progress.epochs.append(facts)
        return message


def _told(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4f}"


def learning_rate(step: int, steps: int, warmup: float) -> float:
    """Learning rate at a step as a share of the highest: a linear rise, then half a cosine to zero."""
    rise = warmup * steps
    if step < rise:
        return (step + 1) / (rise + 1)
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, steps - rise)))


def _batch_norms(network: nn.Module | None) -> list[nn.Module]:
    modules = network.modules() if network else ()
    return [module for module in modules if isinstance(module, _BatchNorm)]


def _spare_single_values(norm: nn.Module, inputs: tuple[Tensor]) -> None:
    """Have a batch norm that is shown one value a channel, which has no variance, go by its statistics."""
    if inputs[0].numel() == inputs[0].shape[1]:
        norm.eval()
