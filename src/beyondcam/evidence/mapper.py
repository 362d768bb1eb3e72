"""Map a split: images and labels in, evidence out; killed at any moment, it goes on where it stopped."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Literal, TypeVar

import torch

from beyondcam.classifier import Classifier, fingerprint, folded
from beyondcam.data import LabelledImages, Photo
from beyondcam.devices import spare_cores
from beyondcam.errors import BeyondcamError
from beyondcam.evidence.store import Shelf, claim, open_shelf
from beyondcam.evidence.workers import Job, Workers
from beyondcam.files import ahead, write_json
from beyondcam.progress import track
from beyondcam.recipes import TARGETS, Cost, Item, Raw, Recipe, raw_maps, scores

CHUNK = 16
"""Images worked on together. Chunks are fixed, in the order of the ids, so that batches, and with them the
rounding of every float, are the same after a restart and in any shard, at the same `batch`."""

Targets = Literal["labels", "predicted"]

T = TypeVar("T")


def map_split(
    classifier: Classifier,
    images: LabelledImages,
    recipes: Mapping[str, Recipe],
    out: Path,
    *,
    targets: Targets = "labels",
    seed: int = 0,
    batch: int = 8,
    precision: Literal["float32", "bf16"] = "float32",
    shard: tuple[int, int] = (1, 1),
    workers: int | None = 0,
    report: Callable[[str], None] = print,
) -> dict[str, str]:
    """Write the evidence of every image and recipe under `out`, a RUN or any other folder.

    Evidence is kept by the classifier's `fingerprint`, and the folder notes whose it is; in a RUN that is its
    checkpoint's. The classifier is used in evaluation mode and left as it is.
    `shard` (I, N) takes every N-th chunk, from the I-th. `workers` processes refine, encode and write while
    the network runs; None starts as many as there are cores to spare, up to 8, where that pays.
    Where a GPU runs out of memory the batch is halved for the rest, and `report` is told.
    Returns the images left out, with the reason.
    """
    if images.classes != classifier.classes:
        raise BeyondcamError(
            f"the classes of the data ({', '.join(images.classes)}) are not the classifier's "
            f"({', '.join(classifier.classes)}); give --classes as in training"
        )
    checkpoint = fingerprint(classifier)
    claim(out, checkpoint)
    shelves = {
        name: open_shelf(
            out, images, targets=targets, precision=precision, name=name, recipe=recipe, seed=seed,
            checkpoint=checkpoint,
        )
        for name, recipe in recipes.items()
    }  # fmt: skip
    chunks = [images.ids[n : n + CHUNK] for n in range(0, len(images.ids), CHUNK)][shard[0] - 1 :: shard[1]]
    left_out: dict[str, str] = {}
    classifier = folded(classifier)
    device = classifier.weight.device.type
    autocast = torch.autocast(device, torch.bfloat16) if precision == "bf16" else nullcontext()

    def there(shelf: Shelf, image_id: str) -> bool:
        """Whether an image needs no work: its evidence is there, and its labels are still the same."""
        if targets == "predicted":
            return shelf.has(image_id, None)
        own = images.labels.get(image_id)
        return own is not None and shelf.has(image_id, tuple(sorted(own)))

    def read(chunk: Sequence[str]) -> tuple[dict[str, Photo], dict[str, set[str]]]:
        """The photos of a chunk, none where all of its evidence is there, and by recipe the ids that are."""
        done = {name: {i for i in chunk if there(shelf, i)} for name, shelf in shelves.items()}
        if all(len(ids) == len(chunk) for ids in done.values()):
            return {}, done
        return _readable(images, chunk, targets, left_out), done

    if workers is None:  # one takes seconds to start
        pays = len(chunks) > 2 and (device == "cuda" or any(recipe.refines for recipe in recipes.values()))
        workers = min(8, spare_cores()) if pays else 0
    with Workers(workers) as pool:
        for photos, done in track(ahead(read, chunks, threads=1), f"map {images.split}", len(chunks)):
            missing = {name: recipe for name, recipe in recipes.items() if not photos.keys() <= done[name]}
            if not missing:
                continue
            pool.start()  # while the network works on the first maps

            def mapped(
                batch: int, photos: Mapping[str, Photo] = photos, asked: Collection[Recipe] = missing.values()
            ) -> list[tuple[Item, Raw]]:
                if targets == "predicted":
                    return _predicted(classifier, photos, asked, seed, batch, autocast)
                items = [Item(i, photo, tuple(sorted(images.labels[i]))) for i, photo in photos.items()]
                raws = raw_maps(
                    classifier, items, asked, seed=seed, batch=batch, autocast=autocast, scored=True
                )
                return list(zip(items, raws, strict=True))

            results, batch = _fitting(mapped, batch, report)
            for item, raw in results:
                new = [name for name in missing if item.id not in done[name]]
                pool.submit(Job(item, raw, [(recipes[name], shelves[name]) for name in new]))
            del results, item, raw  # before the next chunk's are made
    write_json(out / "left_out" / f"map-{images.split}-{shard[0]}of{shard[1]}.json", left_out)
    return left_out


def _fitting(work: Callable[[int], T], batch: int, report: Callable[[str], None]) -> tuple[T, int]:
    """What `work` gives, its batch halved until the GPU's memory holds it; and the batch that it does."""
    while True:
        with suppress(torch.cuda.OutOfMemoryError):  # left at once, since the error holds on to the memory
            return work(batch), batch
        if batch == 1:
            raise BeyondcamError(f"--batch 1: {CHUNK} images take more memory than the GPU has")
        batch //= 2
        torch.cuda.empty_cache()
        report(f"out of GPU memory; going on with --batch {batch}")


def _readable(
    images: LabelledImages, chunk: Sequence[str], targets: Targets, left_out: dict[str, str]
) -> dict[str, Photo]:
    """The photos of a chunk that can be worked on; the others go to `left_out` with the reason."""
    photos = {}
    for i in chunk:
        if targets == "labels" and i not in images.labels:
            reason = images.unlabelled.get(i, "no label")
            left_out[i] = f"{reason}; --targets predicted asks the classifier"
            continue
        try:
            photos[i] = images.read(i)
        except BeyondcamError as error:
            left_out[i] = str(error)
    return photos


def _predicted(
    classifier: Classifier,
    photos: Mapping[str, Photo],
    recipes: Collection[Recipe],
    seed: int,
    batch: int,
    autocast: AbstractContextManager[object],
) -> list[tuple[Item, Raw]]:
    """The images with the targets that the classifier finds, and their raw maps."""
    start = time.perf_counter()
    logits = scores(classifier, list(photos.values()), batch=batch, autocast=autocast)
    seconds = (time.perf_counter() - start) / len(photos)
    found = classifier.probabilities(logits) >= 0.5
    items = [
        Item(i, photo, tuple(own.nonzero().flatten().tolist()))
        for (i, photo), own in zip(photos.items(), found, strict=True)
    ]
    raws = raw_maps(classifier, items, recipes, seed=seed, batch=batch, autocast=autocast)
    for raw, own in zip(raws, logits, strict=True):
        raw.scores = own
        raw.costs[TARGETS] = Cost(1, 0, classifier.size**2 / 1e6, seconds)
    return list(zip(items, raws, strict=True))
