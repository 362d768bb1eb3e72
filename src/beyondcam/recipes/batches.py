"""Batches: the views of many images, in full batches of one input size."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from beyondcam.classifier.model import Classifier
from beyondcam.perturbations import Perturbation, View, cut_at_once
from beyondcam.recipes.canvas import Place
from beyondcam.recipes.item import Item


class BatchView(NamedTuple):
    """A view in a batch: the index of its image, its rank among the image's views, and the view."""

    image: int
    rank: int
    view: View

    def belongs_to(self, perturbation: Perturbation) -> bool:
        """Whether it is one of this perturbation's views, of several that nest."""
        return self.rank < perturbation.limit


def batches(
    items: Sequence[Item],
    images: Iterable[int],
    perturbation: Perturbation,
    side: int,
    seed: int,
    batch: int,
) -> Iterator[list[BatchView]]:
    """All views of the images, in full batches; images with equally many targets are kept together.

    So k targets of every view cost k backward passes over a full batch.
    """
    waiting: dict[int, list[BatchView]] = defaultdict(list)  # by input size
    for n in sorted(images, key=lambda n: len(items[n].targets)):
        photo = items[n].photo
        views = perturbation.views(items[n].id, photo.height, photo.width, side, seed)
        for rank, view in enumerate(views):
            waiting[view.size].append(BatchView(n, rank, view))
            if len(waiting[view.size]) == batch:
                yield waiting.pop(view.size)
    yield from waiting.values()


def inputs_of(classifier: Classifier, pixels: Mapping[int, Tensor], views: Sequence[BatchView]) -> Tensor:
    """The network's input (B, 3, S, S) for views of photos, uint8 (3, H, W) each."""
    places: dict[int, dict[Place, View]] = defaultdict(dict)
    for n, _, view in views:
        places[n][view[:3]] = view  # views of one window, size and flip share a cut
    cuts: dict[tuple[int, Place], Tensor] = {}
    for n, of_photo in places.items():
        squares = _cut(pixels[n], list(of_photo.values()))
        cuts.update(zip(((n, place) for place in of_photo), squares, strict=True))
    squares = torch.stack([cuts[n, view[:3]].permute(1, 2, 0) for n, _, view in views])  # (B, S, S, 3)
    inputs = classifier.normalise(squares.permute(0, 3, 1, 2))  # channels last
    for row, (_, _, view) in enumerate(views):
        if view.alter or view.mask is not None:
            inputs[row] = view.altered(inputs[row])
    return inputs


def _cut(pixels: Tensor, views: Sequence[View]) -> Iterable[Tensor]:
    """Squares (3, S, S) of a photo in whole numbers; a GPU cuts all at once, a CPU is faster one by one."""
    return cut_at_once(pixels, views) if pixels.is_cuda else [view.cut(pixels) for view in views]


def masks_of(views: Sequence[BatchView]) -> Tensor | None:
    """The masks (B, S, S) that the inputs were multiplied by, 1 for a view without; None if all are."""
    masks = [view.mask for _, _, view in views]
    if all(mask is None for mask in masks):
        return None
    return torch.stack(
        [torch.ones(v.view.size, v.view.size) if v.view.mask is None else v.view.mask for v in views]
    )


def targets_of(classifier: Classifier, items: Sequence[Item], views: Sequence[BatchView]) -> Tensor:
    """The targets of each view's image: bool (B, C)."""
    targets = torch.zeros(len(views), len(classifier.classes), dtype=torch.bool)
    for row, (n, _, _) in enumerate(views):
        targets[row, list(items[n].targets)] = True
    return targets
