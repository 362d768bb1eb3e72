"""Worker processes: they refine, encode and write evidence while the network goes on with the next images."""

import multiprocessing
import os
import pickle
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import torch

from beyondcam.errors import BeyondcamError
from beyondcam.evidence.store import Evidence, Shelf, write_evidence
from beyondcam.recipes import Item, Raw, Recipe, finish


@dataclass(frozen=True)
class Job:
    """One image whose raw maps are there.

    Attributes
    ----------
    item, raw : the image and its raw maps.
    scores : logits of its targets.
    recipes : what is to be made of the maps, and where it goes.

    """

    item: Item
    raw: Raw
    scores: tuple[float, ...]
    recipes: Sequence[tuple[Recipe, Shelf]]

    def __call__(self) -> None:
        """Refine, encode and write."""
        for recipe, shelf in self.recipes:
            result = finish(recipe, self.item, self.raw)
            size = self.item.photo.size
            evidence = Evidence.of(result.maps, self.item.targets, self.scores, size, result.uncovered)
            write_evidence(shelf, self.item.id, evidence)
            shelf.add_cost(1, result.cost)


class Workers:
    """So many processes to hand jobs to; with none, jobs are done on the spot.

    At most two jobs a process wait, so that memory does not grow. What a job raises is raised at a later
    `submit`, or when the `with` block is left.
    """

    def __init__(self, count: int) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self.count = count
        self.pool = ProcessPoolExecutor(count, spawn, initializer=_begin) if count else None
        self.unstarted = count
        self.waiting: deque[Future[None]] = deque()

    def start(self) -> None:
        """Start the processes, which takes seconds; else the first jobs do, and wait for it."""
        while self.pool and self.unstarted:
            self.pool.submit(os.getpid)  # the pool starts a process when it is first needed
            self.unstarted -= 1

    def submit(self, job: Callable[[], None]) -> None:
        """Have a job done, waiting while too many are under way."""
        if self.pool is None:
            job()
            return
        self._settle(down_to=2 * self.count - 1)
        # pickled here, since the pool would pass tensors through shared memory, which containers are short of
        self.waiting.append(self.pool.submit(_do, pickle.dumps(job)))

    def _settle(self, down_to: int) -> None:
        while len(self.waiting) > down_to:
            self.waiting.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pool is None:
            return
        with self.pool:
            if error:
                self.pool.shutdown(cancel_futures=True)
            else:
                try:
                    self._settle(down_to=0)
                except BrokenProcessPool as broken:
                    error = broken
        if isinstance(error, BrokenProcessPool):
            raise BeyondcamError(
                "a worker process died, of too little memory perhaps; run again, with fewer --workers"
            ) from None


def _do(pickled: bytes) -> None:
    pickle.loads(pickled)()  # noqa: S301  (our own bytes, made by `submit`)


def _begin() -> None:
    """Leave the other cores to the network, and do not outlive the process that hands out the jobs."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
