"""Map a split: images and labels in, evidence out; stopped at any moment, it goes on where it stopped."""

import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Literal

import torch

from beyondcam.classifier import Classifier, fingerprint, folded
from beyondcam.data import LabelledImages, Photo
from beyondcam.devices import spare_cores
from beyondcam.errors import BeyondcamError
from beyondcam.evidence.batch_size import batch_for
from beyondcam.evidence.store import Shelf, claim, open_shelf
from beyondcam.evidence.workers import Job, Workers
from beyondcam.files import write_json
from beyondcam.outcome import Outcome, ahead, attempts
from beyondcam.progress import Log, track
from beyondcam.recipes import Cost, Item, RawMaps, Recipe, Work, classify_photos, named_recipes, raw_maps

CHUNK = 16
"""Images worked on together. Chunks are fixed, in the order of the ids, so that batches, and with them the
rounding of every float, are the same after a restart and in any shard, at the same `batch`."""

READERS = spare_cores() + 1
"""Threads that read a chunk's photos; decoders let go of the interpreter."""

Targets = Literal["labels", "predicted", "mixed"]
"""`mixed` are the labels where a photo has them, else what is predicted."""

Precision = Literal["float32", "bf16"]


def map_split(
    classifier: Classifier,
    images: LabelledImages,
    recipes: Mapping[str, str | Recipe] | Sequence[str],
    out: str | PathLike[str],
    *,
    targets: Targets = "labels",
    seed: int = 0,
    batch: int | None = None,
    precision: Precision = "float32",
    shard: tuple[int, int] = (0, 1),
    workers: int | None = 0,
    log: Log = print,
) -> dict[str, str]:
    """Write the evidence of every image and recipe under `out`, a RUN or any other folder.

    Evidence is kept by the classifier's `fingerprint`, and the folder notes whose it is; in a RUN that is its
    checkpoint's. The classifier is used in evaluation mode and left as it is.

    Parameters
    ----------
    classifier
        On its device. Its batch norms are folded in a copy, but for maps that look at single modules.
    images
        The split; its classes must be the classifier's.
    recipes
        By the name that the evidence is kept under; a list of names is of built-in recipes.
    out
        The RUN, or any other folder.
    targets
        Map the classes of the image's labels, those that the classifier finds in it, or the former where it
        has labels and the latter where it has none.
    seed
        Of the perturbations' draws.
    batch
        Views in one pass; None takes 8 on a CPU, and on a GPU what is found to be fast, see `batch_for`.
        Where a GPU runs out of memory it is halved for the rest, and logged.
    precision
        "bf16" runs the network in bfloat16, by autocast.
    shard
        (index, count) maps every count-th chunk from the index-th on, 0 ≤ index < count.
    workers
        Processes that refine, encode and write while the network runs; None starts as many as there are
        cores to spare, up to 8, if that pays.
    log
        Takes messages for people.

    Returns
    -------
    The images left out, with the reason.

    Raises
    ------
    BeyondcamError
        If the data's classes are not the classifier's, a recipe does not exist or a part of it does not do
        what such a part must, or a file cannot be written.

    """
    if not isinstance(classifier, Classifier):
        raise BeyondcamError("`wrap` makes one of a network, which is needed here", parameter="classifier")
    if images.classes != classifier.classes:
        raise BeyondcamError(
            f"the data's ({', '.join(images.classes)}) are not the classifier's "
            f"({', '.join(classifier.classes)}); open the data with those of the training",
            parameter="classes",
        )
    out, recipes = Path(out), named_recipes(recipes)
    checkpoint = fingerprint(classifier)
    claim(out, checkpoint)
    shelves = {
        name: open_shelf(
            out, images, targets=targets, precision=precision, name=name, recipe=recipe, seed=seed,
            checkpoint=checkpoint,
        )
        for name, recipe in recipes.items()
    }  # fmt: skip
    device = classifier.device.type
    autocast = torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()
    as_built = {name for name, recipe in recipes.items() if _needs_it_as_built(recipe)}
    networks: list[tuple[_Passes, set[str]]] = []  # and the recipes of each, whatever else is mapped
    for names in (recipes.keys() - as_built, as_built):
        if names:
            network = classifier if names == as_built else folded(classifier)
            backward = any(map(_goes_back, (recipes[name] for name in names)))
            views = batch or batch_for(network, autocast, precision, out, backward=backward)
            networks.append((_Passes(network, seed, autocast, views, log), names))
    known = {} if targets == "predicted" else images.labels
    index, count = shard
    chunks = [images.ids[n : n + CHUNK] for n in range(0, len(images.ids), CHUNK)][index::count]
    if workers is None:  # a process takes seconds to start
        pays = len(chunks) > 2 and (device == "cuda" or any(recipe.refines for recipe in recipes.values()))
        workers = min(8, spare_cores()) if pays else 0
    left_out: dict[str, str] = {}
    has_targets: set[bool] = set()
    with Workers(workers) as pool:
        read = partial(_read_chunk, images, targets, known, shelves)
        for chunk in track(ahead(read, chunks, threads=1), f"map {images.split}", len(chunks)):
            left_out |= chunk.left_out
            missing = {name for i in chunk.photos for name in chunk.missing[i]}
            if not missing:
                continue
            pool.start()  # while the network works on the first maps
            for passes, names in networks:
                needed = [recipe for name, recipe in recipes.items() if name in missing & names]
                for item, raw in passes.map(chunk.photos, known, needed) if needed else ():
                    has_targets.add(bool(item.targets))
                    if raw.fault:
                        left_out[item.id] = raw.fault
                        continue
                    outputs = [
                        (recipes[name], shelves[name]) for name in chunk.missing[item.id] if name in names
                    ]
                    for job in Job(item, raw, outputs, item.id not in known).parts():
                        pool.submit(job)
    if targets == "predicted" and has_targets == {False}:
        log("the classifier finds none of its classes in any photo: no score is 0.5 or more")
    write_json(out / "left_out" / f"map-{images.split}-{index + 1}of{count}.json", left_out)
    return left_out


def _needs_it_as_built(recipe: Recipe) -> bool:
    return any(source.map.needs.as_built for source in recipe.sources())


def _goes_back(recipe: Recipe) -> bool:
    needs = [source.map.needs for source in recipe.sources()]
    return any(n.input_gradient or n.layer_gradients or n.modules for n in needs)  # modules are captum's


@dataclass(frozen=True)
class _Chunk:
    """The readable photos of a chunk, the others with the reason, and the recipes that each id still misses.

    Where no evidence is missing no photo is read.
    """

    photos: dict[str, Photo]
    left_out: dict[str, str]
    missing: dict[str, list[str]]


def _read_chunk(
    images: LabelledImages,
    targets: Targets,
    known: Mapping[str, frozenset[int]],
    shelves: Mapping[str, Shelf],
    ids: Sequence[str],
) -> _Chunk:
    missing = {}
    for i in ids:
        asked = tuple(sorted(known[i])) if i in known else None
        unusable = targets == "labels" and asked is None
        missing[i] = [
            name for name, shelf in shelves.items() if unusable or not shelf.has(i, asked, images.file_of(i))
        ]
    if not any(missing.values()):
        return _Chunk({}, {}, missing)
    photos = Outcome.of(attempts(partial(_read_photo, images, targets), ids, threads=READERS))
    return _Chunk(photos.results, photos.left_out, missing)


def _read_photo(images: LabelledImages, targets: Targets, image_id: str) -> Photo:
    if targets == "labels" and image_id not in images.labels:
        reason = images.unlabelled.get(image_id, "no label")
        raise BeyondcamError(f"{reason}; targets 'mixed' maps what the classifier finds in it")
    return images.read(image_id)


@dataclass
class _Passes:
    """The classifier, and how its passes are made."""

    classifier: Classifier
    seed: int
    autocast: AbstractContextManager[object]
    batch: int
    log: Log

    def map(
        self, photos: Mapping[str, Photo], known: Mapping[str, frozenset[int]], recipes: Collection[Recipe]
    ) -> list[tuple[Item, RawMaps]]:
        """The photos with their targets and raw maps; the batch is halved until the GPU's memory holds it.

        The targets are those `known`, and of other photos those that the classifier finds.
        """
        while True:
            with suppress(torch.cuda.OutOfMemoryError):  # left at once: the error holds on to the memory
                return self._map(photos, known, recipes)
            if self.batch == 1:
                raise BeyondcamError(
                    f"{CHUNK} images at 1 view a pass exceed the GPU's memory", parameter="batch"
                )
            self.batch //= 2
            torch.cuda.empty_cache()
            self.log(f"out of GPU memory; going on with batch {self.batch}")

    def _map(
        self, photos: Mapping[str, Photo], known: Mapping[str, frozenset[int]], recipes: Collection[Recipe]
    ) -> list[tuple[Item, RawMaps]]:
        classifier = self.classifier
        how: dict[str, Any] = {"batch": self.batch, "autocast": self.autocast}
        scored = all(i in known for i in photos)
        targets = {i: tuple(sorted(known[i])) for i in photos if i in known}
        if not scored:
            start = time.perf_counter()
            logits = classify_photos(classifier, list(photos.values()), **how)  # (N, C)
            found = classifier.probabilities(logits) >= 0.5
            finding = Cost(1, 0, classifier.size**2 / 1e6, (time.perf_counter() - start) / len(photos))
            predicted = (tuple(row.nonzero().flatten().tolist()) for row in found)
            targets = dict(zip(photos, predicted, strict=True)) | targets
        items = [Item(i, photo, targets[i]) for i, photo in photos.items()]
        raws = raw_maps(classifier, items, recipes, seed=self.seed, scored=scored, **how)
        if not scored:
            for raw, scores in zip(raws, logits, strict=True):
                raw.scores = scores
                raw.ledger[Work("targets")] = finding
        for raw in raws:
            if raw.scores is not None:
                raw.scores = classifier.log_odds(raw.scores)
        return list(zip(items, raws, strict=True))
