"""Images as training sees them: a view of each, drawn by (seed, epoch, id), and batches in a fixed order."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from beyondcam.data import LabelledImages, Photo
from beyondcam.devices import spare_cores
from beyondcam.outcome import LeftOut, Outcome, ahead, attempt
from beyondcam.perturbations import Mask, Noise, View, augmented, generator

Index = tuple[int, str]
"""An epoch and an image's id."""

Sample = tuple[Tensor, Tensor]
"""An input (3, S, S) and its target."""

Draw = Callable[[int, str, int, int], View]
"""(epoch, id, height, width of the photo) to the view that is shown; depends on its arguments alone."""


class Settings(Protocol):
    """The settings that both trainings have."""

    size: int
    batch: int
    warmup: float
    crop_scale: tuple[float, float]
    flip: bool
    seed: int


class Batch(NamedTuple):
    """The images of a batch that could be read, and why the others could not."""

    x: Tensor  # float32 (B, 3, S, S), normalised, channels last, on the network's device; B may be 0
    y: Tensor  # (B, ...), the targets
    left_out: dict[str, str]  # id → reason
    weights: Tensor | None = None  # (B,), of the rows in the loss; None where all count alike


@dataclass
class Samples(Dataset[tuple[str, Sample | LeftOut]]):
    """The images of a data set as inputs and targets of a network, by (epoch, id)."""

    images: LabelledImages
    normalise: Callable[[Tensor], Tensor]  # uint8 (..., 3, S, S) to the network's input, on its device
    size: int  # S
    draw: Draw
    target: Callable[[str, Photo, View], Tensor]  # of (id, photo, view); may raise `BeyondcamError`
    weights: Mapping[str, float] = field(default_factory=dict)  # id → weight in the loss, 1 for the others
    readers: Executor = field(default_factory=lambda: ThreadPoolExecutor(min(8, max(2, spare_cores()))))

    def __getitem__(self, index: Index) -> tuple[str, Sample | LeftOut]:
        """Id and sample of an image, or why it has none."""
        return index[1], attempt(self._sample)(index)

    def __getitems__(self, indices: Sequence[Index]) -> list[tuple[str, Sample | LeftOut]]:
        """The items of a batch, read in threads: decoding and resizing release Python's lock."""
        return list(self.readers.map(self.__getitem__, indices))

    def _sample(self, index: Index) -> Sample:
        photo = self.images.read(index[1])
        view = self.draw(*index, photo.height, photo.width)
        return view.altered(self.normalise(view.cut(photo.pixels))), self.target(index[1], photo, view)

    def batches(self, indices: Sequence[list[Index]]) -> Iterator[Batch]:
        """The batches of these images; the next ones are read while one is worked on."""
        unused = torch.Generator()  # or DataLoader would draw from the global stream, which is dropout's
        batches = iter(DataLoader(self, batch_sampler=indices, collate_fn=self._collate, generator=unused))
        return ahead(lambda _: next(batches), indices, threads=1)

    def _collate(self, items: Sequence[tuple[str, Sample | LeftOut]]) -> Batch:
        read = Outcome.of(items)
        if not read.results:
            x = self.normalise(torch.empty(0, 3, self.size, self.size))
            return Batch(x, x.new_empty(0), read.left_out)
        inputs, targets = zip(*read.results.values(), strict=True)
        x = torch.stack(inputs).contiguous(memory_format=torch.channels_last)
        weights = None
        if self.weights:
            weights = torch.tensor([self.weights.get(i, 1.0) for i in read.results], device=x.device)
        return Batch(x, torch.stack(targets).to(x.device), read.left_out, weights)


def random_view(config: Settings, perturb: Noise | Mask | None = None) -> Draw:
    """A random view of an image, changed by `perturb` where there is one."""

    def draw(epoch: int, image_id: str, height: int, width: int) -> View:
        rng = generator(config.seed, "augment", epoch, image_id)
        view = augmented(rng, height, width, config.size, config.crop_scale, flip=config.flip)
        if perturb is None:
            return view
        return view._replace(alter=lambda x: perturb.alter(view.altered(x), rng))

    return draw


def draw_batches(
    ids: Sequence[str], batch: int, seed: int, epoch: int, shard: tuple[int, int], *, full: bool = False
) -> list[list[Index]]:
    """The images of an epoch's batches, in an order drawn by (seed, epoch).

    `full` leaves out a last batch of fewer; `shard` (index, count) takes every count-th image of each batch,
    from the index-th.
    """
    index, count = shard
    order = generator(seed, "order", epoch).permutation(len(ids))
    starts = range(0, len(ids) - batch + 1 if full else len(ids), batch)
    return [[(epoch, ids[n]) for n in order[start : start + batch][index::count]] for start in starts]
