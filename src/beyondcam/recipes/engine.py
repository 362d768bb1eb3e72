"""The engine: the views of many images, in full batches through the network, once for all recipes.

Sources with the same perturbation share its passes, also if one takes the first n of another's views. Memory
grows with the batch and with the number of photos handed over at once, not with the number of views.

In the shapes: B views in a batch, P pairs of a view and a target, k targets of an image, C classes.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from beyondcam.classifier.model import Classifier
from beyondcam.data import Photo
from beyondcam.devices import full_float32
from beyondcam.errors import BeyondcamError
from beyondcam.maps import Forward, affinities, run_forward
from beyondcam.perturbations import Plain, View
from beyondcam.recipes.batches import BatchView, batches, inputs_of, masks_of, targets_of
from beyondcam.recipes.canvas import Canvas
from beyondcam.recipes.cost import Cost, Work
from beyondcam.recipes.item import Item
from beyondcam.recipes.meter import Meter
from beyondcam.recipes.plan import Group, plan
from beyondcam.recipes.raw import RawMaps
from beyondcam.recipes.recipe import Recipe, Source

Autocast = AbstractContextManager[object]


@dataclass
class Result:
    """The maps of one image by one recipe: float32 (k, H, W), in the order of the item's targets.

    They are where the raw maps are that they are made of; `map_items` gives them on the CPU.
    """

    maps: Tensor
    cost: Cost
    uncovered: float


def map_items(
    classifier: Classifier,
    items: Sequence[Item],
    recipes: Mapping[str, Recipe],
    *,
    seed: int = 0,
    batch: int = 8,
) -> Iterator[dict[str, Result]]:
    """Map each item by each recipe; the results come in the order of the items.

    Raises `BeyondcamError` where the network or a map gives NaN or infinite numbers, or a part breaks its
    contract.
    """
    raws = raw_maps(classifier, items, recipes.values(), seed=seed, batch=batch)
    for item, raw in zip(items, (raw.on_cpu() for raw in raws), strict=True):
        if raw.fault:
            raise BeyondcamError(f"{item.id}: {raw.fault}")
        yield {name: finish(recipe, item, raw) for name, recipe in recipes.items()}


@full_float32()
def raw_maps(
    classifier: Classifier,
    items: Sequence[Item],
    recipes: Collection[Recipe],
    *,
    seed: int = 0,
    batch: int = 8,
    autocast: Autocast | None = None,
    scored: bool = False,
) -> list[RawMaps]:
    """Do the network's part: the raw maps and affinities of each item that the recipes start from.

    Passes that recipes share are made once. With `scored`, the logits of the whole image are kept too.
    The classifier is run as it is: on its device and in its mode (calling `eval()` is up to the caller).
    """
    if batch < 1:
        raise BeyondcamError(f"at least 1 view a pass is needed, not {batch}", parameter="batch")
    raws = [RawMaps(scored) for _ in items]
    for group in plan(recipes, scored=scored):
        _run_group(classifier, items, raws, group, seed, batch, autocast or nullcontext())
    return raws


@full_float32()
def finish(recipe: Recipe, item: Item, raw: RawMaps) -> Result:
    """Do the rest, which needs no network: combine and refine one image's raw maps by one recipe."""
    if not item.targets:
        return Result(torch.zeros(0, item.photo.height, item.photo.width), raw.cost(recipe), 0.0)
    recipe.prepare(item.photo, next(iter(raw.maps.values())).device)
    start = time.perf_counter()
    maps = recipe.finish(item.photo, raw.maps, raw.affinities)
    refining = Cost(seconds=time.perf_counter() - start)
    uncovered = max((raw.uncovered.get(s.perturbation, 0.0) for s in recipe.sources()), default=0.0)
    return Result(maps, raw.cost(recipe) + refining, uncovered)


@full_float32()
def classify_photos(
    classifier: Classifier, photos: Sequence[Photo], *, batch: int = 8, autocast: Autocast | None = None
) -> Tensor:
    """Logits (N, C) of whole photos at the training size, float32 on the CPU."""
    rows = []
    for n in range(0, len(photos), batch):
        some = photos[n : n + batch]
        views = [
            BatchView(i, 0, View((0, 0, p.height, p.width), classifier.size)) for i, p in enumerate(some)
        ]
        pixels = {i: p.pixels.to(classifier.device) for i, p in enumerate(some)}
        with torch.no_grad(), autocast or nullcontext():
            rows.append(classifier(inputs_of(classifier, pixels, views)).scores.float().cpu())
    return torch.cat(rows) if rows else torch.empty(0, len(classifier.classes))


def _run_group(
    classifier: Classifier,
    items: Sequence[Item],
    raws: Sequence[RawMaps],
    group: Group,
    seed: int,
    batch: int,
    autocast: Autocast,
) -> None:
    """Run the views of perturbations that nest through the network, and fill in the raw maps."""
    device, needs, nested = classifier.device, group.needs(), group.nested()
    with_targets = [n for n, item in enumerate(items) if item.targets]
    pixels = {n: _uploaded(items[n].photo.pixels, device) for n in with_targets}  # uint8 (3, H, W)
    canvases = {(n, s): Canvas(items[n], s.statistic, device) for n in with_targets for s in group.sources}
    numbers: list[tuple[list[int], Tensor]] = []  # whether the logits of a view of each image are such
    meter = Meter(device, [raw.ledger for raw in raws], [len(item.targets) for item in items])
    for views in batches(items, with_targets, nested[-1], classifier.size, seed, batch):
        images = {p: [view.image for view in views if view.belongs_to(p)] for p in nested}
        inputs = inputs_of(classifier, pixels, views)  # (B, 3, S, S)
        targets = targets_of(classifier, items, views)  # (B, C)
        with autocast:
            forward = run_forward(classifier, inputs, targets, needs, masks_of(views))
        numbers.append(([view.image for view in views], forward.scores.detach().isfinite().all(1)))  # (B,)
        megapixels = inputs.shape[-1] ** 2 / 1e6
        meter.lap({Work("forward", p): images[p] for p in nested}, len(views), Cost(1, 0, megapixels))
        _keep_whole(group, forward, views, raws, meter)
        for m in group.maps():
            maps = m.of(forward)  # (P, h, w)
            sources = [source for source in group.sources if source.map == m]
            work = {Work("map", s.perturbation, m): images[s.perturbation] for s in sources}
            meter.lap(work, len(views), per_target=_passes_since(forward))
            for source in sources:
                weighted = _weighted(maps, forward, classifier, source)  # (P, h, w)
                by_view = weighted.split([len(items[view.image].targets) for view in views])
                for view, view_maps in zip(views, by_view, strict=True):  # (k, h, w)
                    if view.belongs_to(source.perturbation):
                        canvases[view.image, source].add(view.view, view_maps)
                meter.lap({Work("mean", source=source): images[source.perturbation]}, len(views))
        del forward  # with all that gradients need, before the next pass
    meter.close()
    for indices, finite in numbers:
        for n, all_finite in zip(indices, finite.tolist(), strict=True):
            raws[n].sane &= all_finite
    for (n, source), canvas in canvases.items():
        raws[n].maps[source] = canvas.statistic()[items[n].ranks()].relu_()  # (k, H, W)
        raws[n].uncovered[source.perturbation] = canvas.uncovered()


def _keep_whole(
    group: Group, forward: Forward, views: Sequence[BatchView], raws: Sequence[RawMaps], meter: Meter
) -> None:
    """Keep the logits and affinities of whole images, if they are needed and the views show these."""
    if group.scored:
        for view, scores in zip(views, forward.scores.detach().float().cpu(), strict=True):  # (C,)
            raws[view.image].scores = scores
    if group.affinity_size is not None:
        for view, affinity in zip(views, affinities(forward).half(), strict=True):  # (n, n)
            raws[view.image].affinities[group.affinity_size] = affinity.clone()  # of the batch's storage
        work = Work("affinities", Plain(size=group.affinity_size))
        meter.lap({work: [view.image for view in views]}, len(views))


def _passes_since(forward: Forward) -> Cost:
    """The passes that the last map made for each pair."""
    pairs, passes = len(forward.rows), forward.passes.take()
    ahead, back = passes.forward // pairs, passes.backward // pairs
    return Cost(ahead, back, (ahead + back) * forward.inputs.shape[-1] ** 2 / 1e6)


def _weighted(maps: Tensor, forward: Forward, classifier: Classifier, source: Source) -> Tensor:
    """Normalise and weigh the maps (P, h, w) of a batch as a source adds them up."""
    if source.normalise:
        maps = maps / maps.abs().mean((1, 2), keepdim=True).clamp_min(torch.finfo(maps.dtype).tiny)
    if source.weight == "none":
        return maps
    probabilities = classifier.probabilities(forward.scores.detach().float())  # (B, C)
    weight = probabilities[forward.rows, forward.columns]  # (P,)
    if source.weight == "share":
        rows = forward.rows.to(weight.device)
        total = weight.new_zeros(len(forward.inputs)).index_add_(0, rows, weight)  # (B,)
        weight = weight / total[rows].clamp_min(torch.finfo(weight.dtype).tiny)
    return maps * weight[:, None, None]


def _uploaded(pixels: Tensor, device: torch.device) -> Tensor:
    """Pixels (3, H, W) on the device, laid out as resizing and convolutions are fastest on.

    A GPU copies them from pinned memory while it works.
    """
    pixels = pixels[None].contiguous(memory_format=torch.channels_last)[0]
    return pixels.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else pixels.to(device)
