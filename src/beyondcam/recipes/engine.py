"""The engine: the views of many images in full batches through the network, once for all recipes.

Recipes whose sources share a perturbation share its passes, also where one takes the first n of another's
views. Memory grows with the batch and with the number of photos handed over at once, never with the number of
views.
"""

import math
import time
from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from beyondcam.classifier.model import Classifier
from beyondcam.data import Photo
from beyondcam.errors import BeyondcamError
from beyondcam.maps import MAPS, Forward, affinities, run_forward
from beyondcam.perturbations import Perturbation, Plain, View
from beyondcam.recipes.recipe import Recipe, Source, Statistic


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


class Canvas:
    """Where a power of an image's views' maps, or two, are added up: k targets at the photo's size."""

    def __init__(self, item: Item, statistic: Statistic, device: torch.device) -> None:
        size = (item.photo.height, item.photo.width)
        self.powers = {"mean": (1,), "square": (2,), "variance": (1, 2)}[statistic]
        self.total = torch.zeros(len(self.powers), len(item.targets), *size, device=device)
        self.covered = torch.zeros(size, device=device)
        self.waiting: tuple[View, Tensor, int] | None = None

    def add(self, view: View, maps: Tensor) -> None:
        """Add the maps (k, h, w) of a view.

        Those of one window after the other are brought back at once, where their sum is all that is asked
        for: a sum can be resized, a square cannot.
        """
        view = view._replace(alter=None)
        if self.waiting and self.waiting[0] == view and self.powers == (1,):
            _, total, views = self.waiting
            self.waiting = (view, total.add_(maps), views + 1)
        else:
            self._bring_back()
            self.waiting = (view, maps.clone(), 1)

    def _bring_back(self) -> None:
        """Resize what waits to its window, bilinearly, and add it."""
        if not self.waiting:
            return
        view, maps, views = self.waiting
        top, left, bottom, right = view.window
        maps = maps.flip(-1) if view.flip else maps
        back = F.interpolate(maps[None], (bottom - top, right - left), mode="bilinear", antialias=True)[0]
        for total, power in zip(self.total, self.powers, strict=True):
            total[:, top:bottom, left:right] += back if power == 1 else back**power
        self.covered[top:bottom, left:right] += views
        self.waiting = None

    def statistic(self) -> Tensor:
        """The statistic over the views that cover a pixel, 0 where none does: float32 (k, H, W) on CPU."""
        self._bring_back()
        first, *second = self.total / self.covered.clamp_min(1)
        return ((second[0] - first**2).clamp_min(0) if second else first).cpu()

    def uncovered(self) -> float:
        """The share of the pixels that no view covers."""
        self._bring_back()
        return float((self.covered == 0).float().mean())


TARGETS = "targets"
"""What it cost to find an image's targets, where these were not given: every recipe's cost."""


@dataclass
class Raw:
    """The raw maps of one image, what their passes cost, and the share of its pixels that no view covered.

    `scored` is whether its logits were asked for, float32 (C,), of one pass of the whole image.
    """

    scored: bool = False
    scores: Tensor | None = None
    maps: dict[Source, Tensor] = field(default_factory=dict)
    affinities: dict[float, Tensor] = field(default_factory=dict)
    """By the size of the input: float16 (n, n)."""
    costs: dict[Hashable, Cost] = field(default_factory=lambda: defaultdict(Cost))
    """Of forward passes by perturbation, of maps by (perturbation, map), of adding them up by source; of
    affinities by size; of finding `TARGETS`."""
    uncovered: dict[Perturbation, float] = field(default_factory=dict)

    def cost(self, sources: Iterable[Source], sizes: Iterable[float] = ()) -> Cost:
        """The cost of sources and affinities: what they share counts once, of views that nest the most."""
        passes: dict[Hashable, Hashable] = {TARGETS: TARGETS}
        if self.scored:
            passes[Plain().nest] = Plain()
        for size in sizes:
            passes |= {Plain(size=size).nest: Plain(size=size), size: size}
        for s in sorted(sources, key=lambda s: _number(s.perturbation)):
            nest = s.perturbation.nest
            passes |= {nest: s.perturbation, (nest, s.map): (s.perturbation, s.map), s: s}
        return sum((self.costs[key] for key in passes.values()), Cost())


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
    recipes: Collection[Recipe],
    *,
    seed: int = 0,
    batch: int = 8,
    autocast: AbstractContextManager[object] | None = None,
    scored: bool = False,
) -> list[Raw]:
    """The network's part: the raw maps of each item that the recipes start from, shared passes made once.

    And the affinities that they ask for, of the whole image; its logits, where they are to be `scored`.

    The classifier is run as it is: on its device, in its mode (`eval()` is the caller's to call).
    """
    groups: dict[Hashable, _Group] = defaultdict(_Group)
    for source in sorted(set().union(*(recipe.sources() for recipe in recipes)), key=repr):
        groups[source.perturbation.nest].add(source.perturbation, source)
    for size in sorted(set().union(*(recipe.asks() for recipe in recipes))):
        whole = Plain(size=size)
        groups[whole.nest].add(whole)
        groups[whole.nest].alike = size
    if scored:
        groups[Plain().nest].add(Plain())
        groups[Plain().nest].scored = True
    raws = [Raw(scored) for _ in items]
    autocast = autocast or nullcontext()
    for group in groups.values():
        _run_group(classifier, items, raws, group, seed, batch, autocast)
    return raws


def finish(recipe: Recipe, item: Item, raw: Raw) -> Result:
    """The rest, which needs no network: combine and refine one image's raw maps by one recipe."""
    sources = recipe.sources()
    recipe.prepare(item.photo)
    start = time.perf_counter()
    if item.targets:
        maps = recipe.finish(item.photo, raw.maps, raw.affinities)
    else:
        maps = torch.zeros(0, item.photo.height, item.photo.width)
    refining = Cost(seconds=time.perf_counter() - start)
    uncovered = max((raw.uncovered.get(s.perturbation, 0.0) for s in sources), default=0.0)
    return Result(maps, raw.cost(sources, recipe.asks()) + refining, uncovered)


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


def _number(perturbation: Perturbation) -> float:
    """How many views it takes of those that nest: n, or all."""
    return getattr(perturbation, "n", math.inf)


@dataclass
class _Group:
    """What is asked of perturbations that nest: maps; of a whole image also affinities, or scores."""

    perturbations: set[Perturbation] = field(default_factory=set)
    sources: list[Source] = field(default_factory=list)
    alike: float | None = None
    scored: bool = False

    def add(self, perturbation: Perturbation, *sources: Source) -> None:
        """Ask for more."""
        self.perturbations.add(perturbation)
        self.sources += sources


class _Member(NamedTuple):
    """A view in a batch: whose it is, and the how-manieth."""

    n: int
    rank: int
    view: View

    def within(self, perturbation: Perturbation) -> bool:
        """Whether it is one of this perturbation's views, of those that nest in each other."""
        return self.rank < _number(perturbation)


def _run_group(
    classifier: Classifier,
    items: Sequence[Item],
    raws: Sequence[Raw],
    group: _Group,
    seed: int,
    batch: int,
    autocast: AbstractContextManager[object],
) -> None:
    """Fill in what is asked of perturbations that nest, in one go over the views of the largest."""
    device = classifier.weight.device
    asked = [n for n, item in enumerate(items) if item.targets]
    pixels = {n: _channels_last(items[n].photo.pixels.to(device)) for n in asked}
    sources = group.sources
    canvases = {(n, s): Canvas(items[n], s.statistic, device) for n in asked for s in sources}
    perturbations = sorted(group.perturbations, key=_number)
    names = sorted({source.map for source in sources})
    gradient = any(MAPS[name].gradient for name in names)
    clock = _Clock(device)
    for members in _batches(items, asked, perturbations[-1], classifier.size, seed, batch):
        rows = {p: [member.n for member in members if member.within(p)] for p in perturbations}
        forward = _forward(
            classifier, items, pixels, members, autocast, gradient=gradient, features=group.alike is not None
        )
        megapixels = forward.inputs.shape[-1] ** 2 / 1e6
        for p in perturbations:
            for n in rows[p]:
                raws[n].costs[p] += Cost(1, 0, megapixels)
        clock.lap(rows, len(members))
        _keep_whole(group, forward, members, raws, clock)
        for name in names:
            maps = MAPS[name].of(forward).float()
            asking = {(s.perturbation, name): rows[s.perturbation] for s in sources if s.map == name}
            for key, numbers in asking.items() if MAPS[name].gradient else ():
                for n in numbers:
                    k = len(items[n].targets)
                    raws[n].costs[key] += Cost(0, k, megapixels * k)
            clock.lap(asking, len(members))
            for source in (s for s in sources if s.map == name):
                weighted = _weighted(maps, forward, classifier, source)
                own = weighted.split([len(items[member.n].targets) for member in members])
                for member, part in zip(members, own, strict=True):
                    if member.within(source.perturbation):
                        canvases[member.n, source].add(member.view, part)
                clock.lap({source: rows[source.perturbation]}, len(members))
        del forward  # with all that gradients need, before the next pass
    clock.charge(raws)
    for (n, source), canvas in canvases.items():
        raws[n].maps[source] = canvas.statistic()[items[n].ranks()]
        raws[n].uncovered[source.perturbation] = canvas.uncovered()


def _keep_whole(
    group: _Group, forward: Forward, members: Sequence[_Member], raws: Sequence[Raw], clock: "_Clock"
) -> None:
    """Keep what is asked of whole images, if these are: their scores, their affinities."""
    if group.scored:
        for member, scores in zip(members, forward.scores.detach().float().cpu(), strict=True):
            raws[member.n].scores = scores
    if group.alike is not None:
        for member, own in zip(members, affinities(forward).half().cpu(), strict=True):
            raws[member.n].affinities[group.alike] = own
        clock.lap({group.alike: [member.n for member in members]}, len(members))


def _forward(
    classifier: Classifier,
    items: Sequence[Item],
    pixels: Mapping[int, Tensor],
    members: Sequence[_Member],
    autocast: AbstractContextManager[object],
    *,
    gradient: bool,
    features: bool,
) -> Forward:
    """A batch of views through the network, for the targets of their images."""
    targets = torch.zeros(len(members), len(classifier.classes), dtype=torch.bool)
    for row, member in enumerate(members):
        targets[row, list(items[member.n].targets)] = True
    cuts = {(n, view[:3]): (n, view) for n, _, view in members}  # views that only alter share theirs
    made = {key: view.cut(pixels[n]) for key, (n, view) in cuts.items()}
    inputs = _inputs(classifier, [made[n, view[:3]] for n, _, view in members])
    for row, (_, _, view) in enumerate(members):
        if view.alter:
            inputs[row] = view.alter(inputs[row])
    with autocast:
        return run_forward(classifier, inputs, targets, gradient=gradient, features=features)


def _batches(
    items: Sequence[Item],
    asked: Iterable[int],
    perturbation: Perturbation,
    side: int,
    seed: int,
    batch: int,
) -> Iterator[list[_Member]]:
    """All views in full batches of one size, images with equally many targets together."""
    waiting: dict[int, list[_Member]] = defaultdict(list)
    for n in sorted(asked, key=lambda n: len(items[n].targets)):
        photo = items[n].photo
        views = perturbation.views(items[n].id, photo.height, photo.width, side, seed)
        for rank, view in enumerate(views):
            members = waiting[view.size]
            members.append(_Member(n, rank, view))
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
    if source.weight == "none":
        return maps
    weight = classifier.probabilities(forward.scores.detach().float())[forward.rows, forward.columns]
    if source.weight == "share":
        rows = forward.rows.to(weight.device)
        total = weight.new_zeros(len(forward.inputs)).index_add_(0, rows, weight)
        weight = weight / total[rows].clamp_min(torch.finfo(weight.dtype).tiny)
    return maps * weight[:, None, None]


class _Clock:
    """Times the steps of a group; a GPU is waited for once, at the end."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.cuda = device.type == "cuda"
        self.laps: list[tuple[Mapping[Any, list[int]], int, Any, Any]] = []
        self.last = self.now()

    def now(self) -> Any:
        """The time: seconds, or an event in the GPU's queue."""
        if not self.cuda:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(self.device))
        return event

    def lap(self, rows: Mapping[Any, list[int]], shared_by: int) -> None:
        """The time since the last lap is the images': of `shared_by` equal parts, one a row of each cost."""
        now = self.now()
        self.laps.append((rows, shared_by, self.last, now))
        self.last = now

    def charge(self, raws: Sequence[Raw]) -> None:
        """Add the seconds to the images' costs."""
        if self.cuda:
            torch.cuda.synchronize(self.device)
        for rows, shared_by, start, end in self.laps:
            seconds = start.elapsed_time(end) / 1e3 if self.cuda else end - start
            for key, numbers in rows.items():
                for n in numbers:
                    raws[n].costs[key] += Cost(seconds=seconds / shared_by)
