"""The engine: the views of many images in full batches through the network, once for all recipes.

Recipes whose sources share a perturbation share its passes. Memory grows with the batch and with the number
of photos handed over at once, never with the number of views.
"""

import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from beyondcam.classifier.model import Classifier
from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError
from beyondcam.maps import MAPS, Forward, run_forward
from beyondcam.perturbations import Perturbation, Plain, View
from beyondcam.recipes.recipe import Recipe, Source


@dataclass(frozen=True)
class Item:
    """An image to be mapped, and the classes asked about, each once."""

    id: str
    photo: Photo
    targets: tuple[int, ...]

    def __post_init__(self) -> None:
        if len(set(self.targets)) < len(self.targets):
            raise BeyondcamError(f"{self.id}: a target is asked about twice")

    def ranks(self) -> list[int]:
        """Where each target stands among the targets in ascending order, the order of a batch's pairs."""
        return [sorted(self.targets).index(c) for c in self.targets]


@dataclass(frozen=True)
class Cost:
    """What maps cost: passes, the megapixels they went over, and seconds of work."""

    forward: int = 0
    backward: int = 0
    megapixels: float = 0.0
    seconds: float = 0.0

    def __add__(self, other: "Cost") -> "Cost":
        return Cost(
            self.forward + other.forward,
            self.backward + other.backward,
            self.megapixels + other.megapixels,
            self.seconds + other.seconds,
        )


@dataclass
class Canvas:
    """Where the maps of an image's views are added up: k targets at the photo's size."""

    total: Tensor
    covered: Tensor

    @classmethod
    def of(cls, item: Item, device: torch.device) -> "Canvas":
        """An empty canvas."""
        size = (item.photo.height, item.photo.width)
        return cls(torch.zeros(len(item.targets), *size, device=device), torch.zeros(size, device=device))

    def add(self, view: View, maps: Tensor) -> None:
        """Bring the maps (k, h, w) of a view back to its window, bilinearly, and add them."""
        top, left, bottom, right = view.window
        maps = maps.flip(-1) if view.flip else maps
        back = F.interpolate(maps[None], (bottom - top, right - left), mode="bilinear", antialias=True)[0]
        self.total[:, top:bottom, left:right] += back
        self.covered[top:bottom, left:right] += 1

    def mean(self) -> Tensor:
        """The mean over the views that cover a pixel, 0 where none does: float32 (k, H, W) on the CPU."""
        return (self.total / self.covered.clamp_min(1)).cpu()


@dataclass
class Raw:
    """The raw maps of one image, what their passes cost, and the share of its pixels that no view covered."""

    maps: dict[Source, Tensor] = field(default_factory=dict)
    costs: dict[Hashable, Cost] = field(default_factory=lambda: defaultdict(Cost))
    """Of forward passes by perturbation, of maps by (perturbation, map), of adding them up by source."""
    uncovered: dict[Perturbation, float] = field(default_factory=dict)

    def cost(self, sources: Iterable[Source]) -> Cost:
        """The cost of some sources: what they share counts once."""
        keys = {key for s in sources for key in (s.perturbation, (s.perturbation, s.map), s)}
        return sum((self.costs[key] for key in keys), Cost())


@dataclass
class Result:
    """The maps of one image by one recipe: float32 (k, H, W), in the order of the item's targets."""

    maps: Tensor
    cost: Cost
    uncovered: float


def run(
    classifier: Classifier,
    items: Sequence[Item],
    recipes: Mapping[str, Recipe],
    *,
    seed: int = 0,
    batch: int = 8,
    autocast: AbstractContextManager[object] | None = None,
) -> Iterator[dict[str, Result]]:
    """The maps of each item, by each recipe, in the order of the items.

    The classifier is run as it is: on its device, in its mode (`eval()` is the caller's to call).
    """
    sources = set().union(*(recipe.sources() for recipe in recipes.values()))
    by_perturbation: dict[Perturbation, list[Source]] = defaultdict(list)
    for source in sorted(sources, key=repr):
        by_perturbation[source.perturbation].append(source)
    raws = [Raw() for _ in items]
    for perturbation, group in by_perturbation.items():
        _run_group(classifier, items, raws, perturbation, group, seed, batch, autocast or nullcontext())
    for item, raw in zip(items, raws, strict=True):
        yield {name: _finish(recipe, item, raw) for name, recipe in recipes.items()}


def scores(
    classifier: Classifier,
    photos: Sequence[Photo],
    *,
    batch: int = 8,
    autocast: AbstractContextManager[object] | None = None,
) -> Tensor:
    """Logits (N, C) of whole photos at the training size, float32 on the CPU."""
    plain = Plain()
    rows = []
    for n in range(0, len(photos), batch):
        cuts = [
            next(plain.views("", p.height, p.width, classifier.size, 0)).cut(p) for p in photos[n : n + batch]
        ]
        with torch.no_grad(), autocast or nullcontext():
            rows.append(classifier(_inputs(classifier, cuts)).scores.float().cpu())
    return torch.cat(rows) if rows else torch.empty(0, len(classifier.classes))


def _finish(recipe: Recipe, item: Item, raw: Raw) -> Result:
    """Refine one image's maps by one recipe."""
    sources = recipe.sources()
    recipe.prepare(item.photo)
    start = time.perf_counter()
    if item.targets:
        maps = recipe.finish(item.photo, raw.maps)
    else:
        maps = torch.zeros(0, item.photo.height, item.photo.width)
    refining = Cost(seconds=time.perf_counter() - start)
    uncovered = max((raw.uncovered.get(s.perturbation, 0.0) for s in sources), default=0.0)
    return Result(maps, raw.cost(sources) + refining, uncovered)


def _run_group(
    classifier: Classifier,
    items: Sequence[Item],
    raws: Sequence[Raw],
    perturbation: Perturbation,
    sources: Sequence[Source],
    seed: int,
    batch: int,
    autocast: AbstractContextManager[object],
) -> None:
    """Fill the raw maps of all sources that share a perturbation, in one go over its views."""
    device = classifier.weight.device
    asked = [n for n, item in enumerate(items) if item.targets]
    canvases = {(n, s): Canvas.of(items[n], device) for n in asked for s in sources}
    names = sorted({source.map for source in sources})
    gradient = any(MAPS[name].gradient for name in names)
    for members in _batches(items, asked, perturbation, classifier.size, seed, batch):
        clock = _Clock(device)
        targets = torch.zeros(len(members), len(classifier.classes), dtype=torch.bool)
        for row, (n, _) in enumerate(members):
            targets[row, list(items[n].targets)] = True
        inputs = _inputs(classifier, [view.cut(items[n].photo) for n, view in members])
        for row, (_, view) in enumerate(members):
            if view.alter:
                inputs[row] = view.alter(inputs[row])
        with autocast:
            forward = run_forward(classifier, inputs, targets, gradient=gradient)
        megapixels = inputs.shape[-1] ** 2 / 1e6
        seconds = clock.lap() / len(members)
        for n, _ in members:
            raws[n].costs[perturbation] += Cost(1, 0, megapixels, seconds)
        for name in names:
            maps = MAPS[name].of(forward).float()
            seconds = clock.lap() / len(members)
            for n, _ in members:
                backward = len(items[n].targets) if MAPS[name].gradient else 0
                raws[n].costs[perturbation, name] += Cost(0, backward, megapixels * backward, seconds)
            for source in (s for s in sources if s.map == name):
                start = 0
                weighted = _weighted(maps, forward, classifier, source)
                for n, view in members:
                    k = len(items[n].targets)
                    canvases[n, source].add(view, weighted[start : start + k])
                    start += k
                seconds = clock.lap() / len(members)
                for n, _ in members:
                    raws[n].costs[source] += Cost(seconds=seconds)
    for (n, source), canvas in canvases.items():
        raws[n].maps[source] = canvas.mean()[items[n].ranks()]
        raws[n].uncovered[perturbation] = float((canvas.covered == 0).float().mean())


def _batches(
    items: Sequence[Item],
    asked: Iterable[int],
    perturbation: Perturbation,
    side: int,
    seed: int,
    batch: int,
) -> Iterator[list[tuple[int, View]]]:
    """All views in full batches of one size, images with equally many targets together."""
    waiting: dict[int, list[tuple[int, View]]] = defaultdict(list)
    for n in sorted(asked, key=lambda n: len(items[n].targets)):
        photo = items[n].photo
        for view in perturbation.views(items[n].id, photo.height, photo.width, side, seed):
            members = waiting[view.size]
            members.append((n, view))
            if len(members) == batch:
                yield waiting.pop(view.size)
    yield from waiting.values()


def _inputs(classifier: Classifier, cuts: Sequence[Tensor]) -> Tensor:
    """The network's input (B, 3, S, S) from uint8 squares."""
    device = classifier.weight.device
    return classifier.normalise(torch.stack(tuple(cuts)).to(device)).contiguous(
        memory_format=torch.channels_last
    )


def _weighted(maps: Tensor, forward: Forward, classifier: Classifier, source: Source) -> Tensor:
    """The maps (P, h, w) of a batch as a source adds them up."""
    if source.normalise:
        maps = maps / maps.mean((1, 2), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
    if source.weight == "score":
        weight = classifier.probabilities(forward.scores.detach().float())[forward.rows, forward.columns]
        maps = maps * weight[:, None, None]
    return maps


class _Clock:
    """Seconds since the last lap; on a GPU it waits for the work to be done."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"
        self.last = time.perf_counter()

    def lap(self) -> float:
        if self.cuda:
            torch.cuda.synchronize()
        now = time.perf_counter()
        seconds, self.last = now - self.last, now
        return seconds
