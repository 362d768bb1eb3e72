"""The engine: the views of many images in full batches through the network, once for all recipes.

Recipes whose sources share a perturbation share its passes. Memory grows with the batch and with the number
of photos handed over at once, never with the number of views.
"""

import time
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

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
    """The maps of each item, by each recipe, in the order of the items."""
    raws = raw_maps(classifier, items, recipes.values(), seed=seed, batch=batch, autocast=autocast)
    for item, raw in zip(items, raws, strict=True):
        yield {name: finish(recipe, item, raw) for name, recipe in recipes.items()}


def raw_maps(
    classifier: Classifier,
    items: Sequence[Item],
    recipes: Iterable[Recipe],
    *,
    seed: int = 0,
    batch: int = 8,
    autocast: AbstractContextManager[object] | None = None,
) -> list[Raw]:
    """The network's part: the raw maps of each item that the recipes start from, shared passes made once.

    The classifier is run as it is: on its device, in its mode (`eval()` is the caller's to call).
    """
    by_perturbation: dict[Perturbation, list[Source]] = defaultdict(list)
    for source in sorted(set().union(*(recipe.sources() for recipe in recipes)), key=repr):
        by_perturbation[source.perturbation].append(source)
    raws = [Raw() for _ in items]
    for perturbation, group in by_perturbation.items():
        _run_group(classifier, items, raws, perturbation, group, seed, batch, autocast or nullcontext())
    return raws


def finish(recipe: Recipe, item: Item, raw: Raw) -> Result:
    """The rest, which needs no network: combine and refine one image's raw maps by one recipe."""
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


def scores(
    classifier: Classifier,
    photos: Sequence[Photo],
    *,
    batch: int = 8,
    autocast: AbstractContextManager[object] | None = None,
) -> Tensor:
    """Logits (N, C) of whole photos at the training size, float32 on the CPU."""
    device = classifier.weight.device
    rows = []
    for n in range(0, len(photos), batch):
        cuts = [
            next(Plain().views("", p.height, p.width, classifier.size, 0)).cut(p.pixels.to(device))
            for p in photos[n : n + batch]
        ]
        with torch.no_grad(), autocast or nullcontext():
            rows.append(classifier(_inputs(classifier, cuts)).scores.float().cpu())
    return torch.cat(rows) if rows else torch.empty(0, len(classifier.classes))


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
    pixels = {n: _channels_last(items[n].photo.pixels.to(device)) for n in asked}
    canvases = {(n, s): Canvas.of(items[n], device) for n in asked for s in sources}
    names = sorted({source.map for source in sources})
    gradient = any(MAPS[name].gradient for name in names)
    clock = _Clock(device)
    for members in _batches(items, asked, perturbation, classifier.size, seed, batch):
        rows = [n for n, _ in members]
        targets = torch.zeros(len(members), len(classifier.classes), dtype=torch.bool)
        for row, n in enumerate(rows):
            targets[row, list(items[n].targets)] = True
        cuts = {(n, view[:3]): (n, view) for n, view in members}  # views that only alter share theirs
        made = {key: view.cut(pixels[n]) for key, (n, view) in cuts.items()}
        inputs = _inputs(classifier, [made[n, view[:3]] for n, view in members])
        for row, (_, view) in enumerate(members):
            if view.alter:
                inputs[row] = view.alter(inputs[row])
        with autocast:
            forward = run_forward(classifier, inputs, targets, gradient=gradient)
        megapixels = inputs.shape[-1] ** 2 / 1e6
        for n in rows:
            raws[n].costs[perturbation] += Cost(1, 0, megapixels)
        clock.lap(perturbation, rows)
        for name in names:
            maps = MAPS[name].of(forward).float()
            for n in rows if MAPS[name].gradient else ():
                k = len(items[n].targets)
                raws[n].costs[perturbation, name] += Cost(0, k, megapixels * k)
            clock.lap((perturbation, name), rows)
            for source in (s for s in sources if s.map == name):
                weighted = _weighted(maps, forward, classifier, source)
                own = weighted.split([len(items[n].targets) for n in rows])
                for (n, view), part in zip(members, own, strict=True):
                    canvases[n, source].add(view, part)
                clock.lap(source, rows)
    clock.charge(raws)
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
    """The network's input (B, 3, S, S), channels last, from squares (3, S, S)."""
    pixels = torch.stack([cut.permute(1, 2, 0) for cut in cuts]).permute(0, 3, 1, 2)
    return classifier.normalise(pixels.to(classifier.weight.device))


def _channels_last(pixels: Tensor) -> Tensor:
    """Pixels (3, H, W) as resizing and convolutions are fastest on."""
    return pixels[None].contiguous(memory_format=torch.channels_last)[0]


def _weighted(maps: Tensor, forward: Forward, classifier: Classifier, source: Source) -> Tensor:
    """The maps (P, h, w) of a batch as a source adds them up."""
    if source.normalise:
        maps = maps / maps.mean((1, 2), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
    if source.weight == "score":
        weight = classifier.probabilities(forward.scores.detach().float())[forward.rows, forward.columns]
        maps = maps * weight[:, None, None]
    return maps


class _Clock:
    """Times the steps of a group; a GPU is waited for once, at the end."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cuda = device.type == "cuda"
        self.laps: list[tuple[Hashable, list[int], Any, Any]] = []
        self.last = self.now()

    def now(self) -> Any:
        """The time: seconds, or an event in the GPU's queue."""
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def lap(self, key: Hashable, rows: list[int]) -> None:
        """The time since the last lap goes to the cost `key` of these images, in equal parts."""
        now = self.now()
        self.laps.append((key, rows, self.last, now))
        self.last = now

    def charge(self, raws: Sequence[Raw]) -> None:
        """Add the seconds to the images' costs."""
        if self.cuda:
            torch.cuda.synchronize(self.device)
        for key, rows, start, end in self.laps:
            seconds = start.elapsed_time(end) / 1e3 if self.cuda else end - start
            for n in rows:
                raws[n].costs[key] += Cost(seconds=seconds / len(rows))
