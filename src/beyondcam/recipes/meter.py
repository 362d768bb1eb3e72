"""The meter: what each image's share of the network's work costs."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from beyondcam.recipes.cost import Cost, Ledger, Work

NO_PASS = Cost()


class Meter:
    """Charges the work on a batch to the images of its views: passes at once, seconds at the end.

    A GPU works through a queue: its times are marks in that queue, which are read when all is done, so that
    it is waited for once.

    Parameters
    ----------
    device : where the network runs.
    ledgers : of the images.
    targets : how many each image has.

    """

    def __init__(self, device: torch.device, ledgers: Sequence[Ledger], targets: Sequence[int]) -> None:
        self.device = device
        self.ledgers = ledgers
        self.targets = targets
        self.laps: list[tuple[Mapping[Work, Sequence[int]], int, Any, Any]] = []
        self.last = self._now()

    def _now(self) -> Any:
        """Seconds, or an event in the GPU's queue."""
        if self.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def lap(
        self,
        work: Mapping[Work, Sequence[int]],
        views: int,
        per_view: Cost = NO_PASS,
        per_target: Cost = NO_PASS,
    ) -> None:
        """Charge what was done since the last lap for a batch of `views`.

        `work` names, for each kind of work that was done at once, the image of every view it was done for.
        A view is charged one share of the time, and the passes given per view and per target of its image.
        """
        for done, images in work.items():
            for n in images:
                self.ledgers[n][done] += per_view + per_target * self.targets[n]
        now = self._now()
        self.laps.append((work, views, self.last, now))
        self.last = now

    def close(self) -> None:
        """Charge the seconds of all laps."""
        cuda = self.device.type == "cuda"
        if cuda:
            torch.cuda.synchronize(self.device)
        for work, views, start, end in self.laps:
            seconds = start.elapsed_time(end) / 1e3 if cuda else end - start
            for done, images in work.items():
                for n in images:
                    self.ledgers[n][done] += Cost(seconds=seconds / views)
