"""Worker processes: they refine, encode and write evidence while the network maps the next images."""

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Self, TypeVar

import torch

from beyondcam.decode import Fingerprint
from beyondcam.errors import BeyondcamError
from beyondcam.evidence.levels import Evidence
from beyondcam.evidence.store import Shelf, write_evidence
from beyondcam.recipes import Cost, Item, RawMaps, Recipe, finish

T = TypeVar("T")

WAITING = 16
"""Jobs that may wait: those of one chunk, so that the network goes on without waiting for them."""


@dataclass(frozen=True)
class Job:
    """One image whose raw maps are computed.

    Attributes
    ----------
    item, raw : the image; its raw maps and its logits.
    recipes : what is to be made of the maps, and where it is to be written.
    predicted : whether the item's targets are what the classifier found.

    """

    item: Item
    raw: RawMaps
    recipes: Sequence[tuple[Recipe, Shelf]]
    predicted: bool = False

    def refined(self) -> "Refined":
        """Refine the maps where they are."""
        targets, size, logits = self.item.targets, self.item.photo.size, self.raw.scores
        scores = () if logits is None else tuple(logits[list(targets)].tolist())
        outputs = []
        for recipe, shelf in self.recipes:
            result = finish(recipe, self.item, self.raw)
            evidence = Evidence.of(result.maps, targets, scores, size, result.uncovered, self.predicted)
            outputs.append((shelf, evidence, result.cost))
        return Refined(self.item.id, self.item.photo.file, outputs)

    def __call__(self) -> None:
        """Refine, encode and write."""
        self.refined()()

    def parts(self) -> "Iterator[Job | Refined]":
        """What is left to be done by any process.

        Maps on a GPU are refined there, at once; those that a recipe needs on the CPU come back first, and
        all do where the GPU's memory is full.
        """
        if not stays(self.raw):
            yield self
            return
        rest = self.recipes
        with suppress(torch.cuda.OutOfMemoryError):  # left at once: the error holds on to the memory
            refined = replace(self, recipes=[o for o in self.recipes if not o[0].on_cpu]).refined()
            rest = [o for o in self.recipes if o[0].on_cpu]
            yield refined
        if rest:
            yield replace(self, raw=self.raw.on_cpu(), recipes=rest)


@dataclass(frozen=True)
class Refined:
    """The evidence of one image, with its cost, yet to be encoded and written to its shelves."""

    image_id: str
    photo: Fingerprint | None
    outputs: Sequence[tuple[Shelf, Evidence, Cost]]

    def __call__(self) -> None:
        """Encode and write."""
        for shelf, evidence, cost in self.outputs:
            write_evidence(shelf, self.image_id, evidence, self.photo)
            shelf.add_cost(1, cost)


def stays(raw: RawMaps) -> bool:
    """Whether maps are refined on the device that they are on, in this process: on a GPU."""
    return any(maps.is_cuda for maps in raw.maps.values())


class Workers:
    """A pool of `count` processes that do jobs; with 0, jobs are done at once in this process.

    At most `WAITING` jobs wait, so that memory does not grow: the next one is done in this process, and so
    are, when the `with` block is left, those that no process has begun. An error of a job is raised by a
    later `submit`, or when the block is left.
    """

    def __init__(self, count: int) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self.count = count
        self.pool = ProcessPoolExecutor(count, spawn, initializer=_initialise) if count else None
        self.unstarted = count
        self.waiting: deque[tuple[Future[None], bytes]] = deque()

    def start(self) -> None:
        """Start the processes, which takes seconds; otherwise the first jobs start them, and wait."""
        while self.pool and self.unstarted:
            _undisturbed(self.pool, os.getpid)  # the pool starts a process when it is first needed
            self.unstarted -= 1

    def submit(self, job: Callable[[], None]) -> None:
        """Have a job done, now or later."""
        while self.waiting and self.waiting[0][0].done():
            self.waiting.popleft()[0].result()
        if self.pool is None or len(self.waiting) == WAITING:
            job()
            return
        # pickled here, since the pool would pass tensors through shared memory, which containers are short of
        pickled = pickle.dumps(job)
        self.waiting.append((_undisturbed(self.pool, _do, pickled), pickled))

    def _finish(self) -> None:
        """Do, last first, the jobs that no process has begun; wait for the others."""
        while self.waiting:
            future, pickled = self.waiting.pop()
            if future.cancel():
                _do(pickled)
            else:
                future.result()

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
                    self._finish()
                except BrokenProcessPool as broken:
                    error = broken
        if isinstance(error, BrokenProcessPool):
            raise BeyondcamError(
                "a worker process died, perhaps for lack of memory; run again with fewer", parameter="workers"
            ) from None


def _undisturbed(pool: ProcessPoolExecutor, function: Callable[..., T], *words: object) -> Future[T]:
    """Have the pool do it. A process that it starts for this never gets the SIGINT of a Ctrl-C."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        return pool.submit(function, *words)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which processes inherit
    try:
        return pool.submit(function, *words)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _do(pickled: bytes) -> None:
    pickle.loads(pickled)()  # noqa: S301  (bytes that `submit` has made)


def _initialise() -> None:
    """Leave the other cores to the network, and end with the process that hands out the jobs."""
    torch.set_num_threads(1)
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent:
            parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
