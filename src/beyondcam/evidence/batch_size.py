"""How many views a GPU takes in one pass: as many as make it faster and leave a third of its memory free."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field, TypeAdapter, ValidationError

from beyondcam.classifier import Classifier
from beyondcam.devices import full_float32
from beyondcam.errors import BeyondcamError
from beyondcam.files import locked, read_json, write_json

SMALLEST, LARGEST = 8, 512

GAIN = 1.05
"""A batch of twice the views is taken where so many times as many views a second pass."""

_BATCHES: TypeAdapter[dict[str, int]] = TypeAdapter(dict[str, Annotated[int, Field(ge=1)]])


def batch_for(
    classifier: Classifier,
    autocast: AbstractContextManager[object],
    precision: str,
    out: Path,
    *,
    backward: bool = True,
) -> int:
    """Views in a pass of a classifier: 8 on a CPU; on a GPU what is measured there, once for a folder.

    With `backward` passes back to the input are measured too, which some networks have none of.
    `OUT/batch.json` keeps it, so that a restart on a GPU of this name makes the same batches. Of several
    processes one measures, and the others wait for it.
    """
    device = classifier.device
    if device.type != "cuda":
        return SMALLEST
    path, name = out / "batch.json", f"{torch.cuda.get_device_name(device)}, {precision}"
    name += "" if backward else ", forward"
    with locked(out / "batch.lock", file=True):
        try:
            batches = _BATCHES.validate_python(read_json(path, "beyondcam map")) if path.exists() else {}
        except ValidationError:
            mend = "delete it, and run `beyondcam map` again"
            raise BeyondcamError(f"{path}: holds no batches; {mend}") from None
        if name not in batches:
            speed = partial(_views_a_second, classifier, autocast, backward)
            batches[name] = grown(speed, lambda: _has_room(device))
            write_json(path, batches)
    return batches[name]


def grown(views_a_second: Callable[[int], float], has_room: Callable[[], bool]) -> int:
    """The batch, doubled from the smallest while there is room and it makes the views pass faster."""
    batch = SMALLEST
    with suppress(torch.cuda.OutOfMemoryError):  # where the smallest do not fit, mapping halves it
        speed = views_a_second(batch)
        while batch < LARGEST and has_room() and (doubled := views_a_second(2 * batch)) >= GAIN * speed:
            batch, speed = 2 * batch, doubled
    return batch


@full_float32()
def _views_a_second(
    classifier: Classifier, autocast: AbstractContextManager[object], backward: bool, batch: int
) -> float:
    """Of passes over noise, the first of which is not counted."""
    device, size = classifier.device, classifier.size
    torch.cuda.reset_peak_memory_stats(device)  # which may be of a training in this process
    x = torch.rand(batch, 3, size, size, device=device, requires_grad=backward)
    for passes in (1, 3):
        torch.cuda.synchronize(device)
        start = time.perf_counter()
        for _ in range(passes):
            with autocast, torch.set_grad_enabled(backward):
                scores = classifier(x).scores
            if backward:
                torch.autograd.grad(scores.sum(), x)
        torch.cuda.synchronize(device)
        seconds = time.perf_counter() - start
    return batch * passes / seconds


def _has_room(device: torch.device) -> bool:
    """Whether twice the memory used so far is less than two thirds of all."""
    return 3 * torch.cuda.max_memory_allocated(device) < torch.cuda.get_device_properties(device).total_memory
