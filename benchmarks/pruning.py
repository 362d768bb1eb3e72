"""Is it worth leaving out crops that have little weight?

    python benchmarks/pruning.py --run runs/animals --split train --images 48

Computes the weights of all crops in forward passes without gradient, then maps only the pairs of crop and
class that together hold a given share of the class's weight. Since each crop's map has mean 1, the part of
the map that is lost is at most the weight of the pairs left out. Writes the section `pruning-DATA` of
docs/performance.md.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

import beyondcam as bc
from beyondcam.classifier import read_config
from beyondcam.data import evenly
from beyondcam.evidence import Evidence, winners_of
from beyondcam.maps import Saliency, run_forward
from beyondcam.metrics import ImageTally, Sweep
from beyondcam.perturbations import View
from beyondcam.recipes import Item, Recipe, Source, raw_maps
from beyondcam.recipes.canvas import Canvas
from inputs import on_device, open_scored
from results import shown, table, write_section
from timing import geometric_mean

BATCH = 8
SHARES = (0.99, 0.95)

Pair = tuple[View, Tensor, tuple[int, ...], tuple[float, ...]]
"""A crop, its input, the ranks of the targets it is kept for, and its weight for each."""


def main() -> None:
    """Measure on some images of a RUN's data."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--images", type=int, default=48)
    arguments = parser.parse_args()
    config, classes = read_config(arguments.run)
    images, masks = open_scored(config.data, arguments.split, classes)
    classifier = on_device(bc.folded(bc.load_classifier(arguments.run)))
    recipe = bc.Cookbook().recipe("crops")
    (source,) = recipe.sources()
    chosen = evenly([i for i in images.ids if images.labels.get(i)], arguments.images)

    tallies: dict[float, list[ImageTally]] = defaultdict(list)
    seconds: dict[float, list[float]] = defaultdict(list)
    kept: dict[float, list[float]] = defaultdict(list)
    change: dict[float, list[float]] = defaultdict(list)
    for n, i in enumerate((chosen[0], *chosen)):  # the first one twice: its first time is a warm-up
        item = Item(i, images.read(i), tuple(sorted(images.labels[i])))
        truth = masks.read(i).numpy()
        by_share: dict[float, Tensor] = {}
        for share in np.roll((1.0, *SHARES), n).tolist():  # each comes first in turn
            start = time.perf_counter()
            if share == 1:
                by_share[share] = whole(classifier, item, recipe)
            else:
                by_share[share], share_kept = pruned(classifier, item, source, share)
                kept[share].append(share_kept)
            seconds[share].append(time.perf_counter() - start)
        if n == 0:
            seconds.clear()
            kept.clear()
            continue
        for share, maps in by_share.items():
            evidence = Evidence.of(maps, item.targets, (0.0,) * len(item.targets), item.photo.size)
            tallies[share].append(ImageTally.of(winners_of(evidence), truth))
            change[share].append(float((maps - by_share[1.0]).abs().sum() / by_share[1.0].sum()))

    rows = []
    for share in (1.0, *SHARES):
        time_ratio, low, high = geometric_mean(np.log(np.divide(seconds[share], seconds[1.0])).tolist())
        miou = Sweep.of(tallies[share], len(classes)).miou().max()
        took = f"{time_ratio:.3f} [{low:.3f}, {high:.3f}]"
        pairs, changed = np.mean(kept[share] or 1), np.mean(change[share])
        rows.append((f"{share:.2f}", f"{pairs:.3f}", took, f"{miou:.4f}", f"{changed:.4f}"))
    head = ("share of the weight", "pairs kept", "time / unpruned", "mIoU", "change of the maps")
    targets = np.mean([len(images.labels[i]) for i in chosen])
    body = (
        f"{len(chosen)} images of `{arguments.split}`, {targets:.2f} targets each; "
        f"mIoU at the oracle's τ, unrefined.\n\n{table(*rows, head=head)}"
    )
    run, split = arguments.run, arguments.split
    command = f"python benchmarks/pruning.py --run {run} --split {split} --images {arguments.images}"
    title = f"Pruning crops: {shown(config.data)}"
    write_section(f"pruning-{run.name}", title, command, body, page="performance")


def whole(classifier: bc.Classifier, item: Item, recipe: Recipe) -> Tensor:
    """The engine's maps (k, H, W) of all crops."""
    (raw,) = raw_maps(classifier, [item], [recipe], batch=BATCH)
    (maps,) = raw.maps.values()
    return maps


def pruned(classifier: bc.Classifier, item: Item, source: Source, share: float) -> tuple[Tensor, float]:
    """Maps (k, H, W) of the pairs that hold a share of each target's weight, and the share of pairs kept."""
    photo, device = item.photo, classifier.weight.device
    views = list(source.perturbation.views(item.id, photo.height, photo.width, classifier.size, 0))
    pixels = photo.pixels.to(device)
    inputs = [classifier.normalise(view.cut(pixels)) for view in views]
    batches = (inputs[n : n + BATCH] for n in range(0, len(inputs), BATCH))
    weights = torch.cat([weights_of(classifier, item, batch) for batch in batches])
    keep = np.stack([holding(w, share) for w in weights.T.numpy()], 1)
    pairs = [
        (view, x, tuple(np.flatnonzero(row).tolist()), tuple(w[row].tolist()))
        for view, x, row, w in zip(views, inputs, keep, weights.numpy(), strict=True)
        if row.any()
    ]
    canvas = Canvas(item, "mean", device)
    for view, row in zip(views, keep, strict=True):
        if not row.any():
            canvas.add(view, torch.zeros(len(item.targets), 1, 1, device=device))
    for members in full_batches(pairs):
        add(classifier, item, members, canvas)
    return canvas.statistic(), float(keep.mean())


def holding(weights: np.ndarray, share: float) -> np.ndarray:
    """The fewest weights of (n,) that hold a share of their sum: bool (n,)."""
    order = np.argsort(-weights, kind="stable")
    enough = np.searchsorted(weights[order].cumsum(), share * weights.sum()) + 1
    keep = np.zeros(len(weights), bool)
    keep[order[:enough]] = True
    return keep


def weights_of(classifier: bc.Classifier, item: Item, inputs: Sequence[Tensor]) -> Tensor:
    """The weights of some crops for each target: float32 (n, k)."""
    with torch.no_grad():
        scores = classifier(batch_of(inputs)).scores
    return classifier.probabilities(scores)[:, list(item.targets)].cpu()


def batch_of(inputs: Sequence[Tensor]) -> Tensor:
    """A batch in the network's memory format."""
    return torch.stack(tuple(inputs)).contiguous(memory_format=torch.channels_last)


def full_batches(pairs: Sequence[Pair]) -> Iterator[Sequence[Pair]]:
    """Batches of crops, sorted by their number of targets."""
    ordered = sorted(pairs, key=lambda pair: len(pair[2]))
    for n in range(0, len(ordered), BATCH):
        yield ordered[n : n + BATCH]


def add(classifier: bc.Classifier, item: Item, members: Sequence[Pair], canvas: Canvas) -> None:
    """Add the weighted maps of a batch to the canvas, with zero for targets that a crop is not kept for."""
    targets = torch.zeros(len(members), len(classifier.classes), dtype=torch.bool)
    for row, (_, _, ranks, _) in enumerate(members):
        targets[row, [item.targets[rank] for rank in ranks]] = True
    x = batch_of([x for _, x, _, _ in members])
    maps = Saliency()(run_forward(classifier, x, targets, Saliency().needs))
    maps = maps / maps.mean((1, 2), keepdim=True)
    parts = maps.split([len(ranks) for _, _, ranks, _ in members])
    for (view, _, ranks, weights), part in zip(members, parts, strict=True):
        weighted = maps.new_zeros(len(item.targets), *maps.shape[1:])
        weighted[list(ranks)] = part * maps.new_tensor(weights)[:, None, None]
        canvas.add(view, weighted)


if __name__ == "__main__":
    main()
