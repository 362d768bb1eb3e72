"""How long a job will take on this machine: a few steps of it are taken, and multiplied."""

import time
from collections.abc import Callable, Collection, Mapping
from functools import partial
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from beyondcam.classifier import Classifier, Network, TrainConfig
from beyondcam.classifier.load import build_as
from beyondcam.classifier.training import HELD_OUT
from beyondcam.data import LabelledImages, Photo, evenly
from beyondcam.devices import to_device
from beyondcam.evidence import SAMPLE, WITNESSES
from beyondcam.outcome import attempt
from beyondcam.recipes import Cookbook, Item, Recipe, map_items
from beyondcam.segmentation import SegmentConfig, build_segmenter

ROWS = 4
"""Of the batch whose step is timed."""


def seconds_of_masks(
    config: TrainConfig, images: LabelledImages, recipes: Collection[str], fabric: Fabric, *, train: bool
) -> float:
    """About how long it takes to `train` a classifier, if so, and to map all images by recipes, seconds.

    A network with random weights takes two steps of training and maps one photo twice; the second time
    counts, since libraries are loaded in the first. 0 where no photo can be read.
    """
    classifier = to_device(build_as(config, images.classes, pretrained=False), fabric).eval()
    photo = next((p for p in map(attempt(images.read), evenly(images.ids, 9)) if isinstance(p, Photo)), None)
    if photo is None:
        return 0.0
    labelled = sum(i in images.labels for i in images.ids)
    kept = max(1, round(labelled * (1 - HELD_OUT)))
    epochs = config.epochs_for(kept)
    seconds = 0.0
    if train:
        row = _second(partial(_step, classifier, lambda out: out.scores)) / ROWS
        seconds += epochs * row * (kept + (labelled - kept) / 3)  # no backward pass for those held out
    item = Item("forecast", photo, (0,))
    for names, count in ((recipes, len(images.ids)), (WITNESSES, min(SAMPLE, len(images.ids)))):
        cooked = {name: Cookbook().recipe(name) for name in names}
        seconds += count * _second(partial(_map, classifier, item, cooked))
    return seconds


def seconds_of_network(config: SegmentConfig, images: LabelledImages, fabric: Fabric) -> float:
    """About how long it takes to train a segmentation network on all images, and to predict them, seconds."""
    segmenter = build_segmenter(config.architecture, config.encoder, images.classes, config.size)
    row = _second(partial(_step, to_device(segmenter, fabric), lambda out: out)) / ROWS
    sides, count = 2 if config.flip else 1, len(images.ids)
    return row * count * (config.epochs_for(count) + sides / 3)  # a prediction makes no backward pass


def _map(classifier: Classifier, item: Item, recipes: Mapping[str, Recipe]) -> None:
    """The maps of one photo, refined."""
    list(map_items(classifier, [item], recipes))


def _step(network: Network, scores: Callable[[Any], Tensor]) -> None:
    """A step of training, but for the optimizer's part; `scores` takes them from what the network gives."""
    x = torch.rand(ROWS, 3, network.size, network.size, device=network.device)
    network.train()
    scores(network(x)).sum().backward()
    network.zero_grad()
    network.eval()


def _second(work: Callable[[], object]) -> float:
    """Seconds that work takes when it is done again."""
    work()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
