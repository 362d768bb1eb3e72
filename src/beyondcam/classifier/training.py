"""Train a classifier from image-level labels, and nothing else."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric, seed_everything
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from beyondcam.classifier.adopt import adopted_in
from beyondcam.classifier.config import CONVNET, WEIGHTS, TrainConfig
from beyondcam.classifier.evaluation import (
    DOUBTED,
    alike,
    doubt,
    labelled_samples,
    mean_average_precision,
    places_of,
    poor_classes,
    score_photos,
)
from beyondcam.classifier.load import build_as, load_classifier, read_config
from beyondcam.classifier.model import Classifier
from beyondcam.data import LabelledImages, evenly, open_images
from beyondcam.data.advice import advice
from beyondcam.devices import open_fabric, to_device, total_of
from beyondcam.errors import BeyondcamError
from beyondcam.files import hash_of, write_json
from beyondcam.label_images import check_apart
from beyondcam.outcome import LeftOut, attempt
from beyondcam.progress import Log
from beyondcam.training.checkpoint import CHECKPOINT, alone_in, read_checkpoint, write_weights
from beyondcam.training.loop import Trainer
from beyondcam.training.samples import Batch, draw_batches, random_view

HELD_OUT = 0.1
"""Share of the training images that choose the epoch that is kept."""

NETWORK = ("backbone", "kernel", "pool", "output_stride", "size", "mean", "std")
"""What a classifier must have in common with the one it starts from."""


def train_run(
    config: TrainConfig, run: Path, fabric: Fabric, log: Log = print, *, images: LabelledImages | None = None
) -> dict[str, str]:
    """Train on the data that `config` names; the split `val`, if there is one, is scored in the end.

    `images` are those data, where they are opened, and people told so, already. What they show that will go
    wrong is said first. Returns the images left out, with the reason; of several processes the first returns
    them all.
    """
    if config.backbone != "convnet" and config.model_dump(include={*CONVNET}) != CONVNET:
        raise BeyondcamError(f"it and pool are the convnet's, not {config.backbone}'s", parameter="kernel")
    said = log if fabric.is_global_zero else lambda _: None
    if images is None:
        images = open_images(config.data, config.split, config.classes, config.max_pixels)
        if told := images.taken_for(config.data):
            said(told)
    check_apart(run, images)
    said(images.summary())
    val = None
    try:
        val = _validation_images(config, images)
    except BeyondcamError as error:
        said(f"no mAP on val: {error}")
    if fabric.is_global_zero:
        held, kept = _parts([i for i in images.ids if i in images.labels], config.seed)
        judging = [(images, held), *([(val, val.ids)] if val else [])]
        for line in advice(images, kept, judging, config.size):
            log(line)
    return train_classifier(images, config, run, val=val, fabric=fabric, log=log)


def _parts(ids: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """The ids that choose the epoch that is kept, and those that are trained on."""
    shuffled = np.random.default_rng(seed).permutation(len(ids))
    held, kept = np.split(shuffled, [max(1, round(HELD_OUT * len(ids)))])
    return [ids[n] for n in sorted(held)], [ids[n] for n in sorted(kept)]


def _validation_images(config: TrainConfig, images: LabelledImages) -> LabelledImages:
    """The labelled images of the split `val` that are not trained on. Raises `BeyondcamError` without any."""
    val = open_images(config.data, "val", images.classes, config.max_pixels)
    trained = val.shared(images)
    ids = tuple(i for i in val.ids if i in val.labels and i not in trained)
    if not ids:
        raise BeyondcamError("it has no labelled image that was not trained on")
    return replace(val, ids=ids)


def train_classifier(
    images: LabelledImages,
    config: TrainConfig,
    run: str | PathLike[str],
    *,
    val: LabelledImages | None = None,
    fabric: Fabric | None = None,
    log: Log = print,
) -> dict[str, str]:
    """Train on `images` and write `RUN/classifier.safetensors`, `RUN/config.json`, `RUN/training.json`.

    The random states of Python, NumPy and torch are set by `config.seed`, as `seed_everything` does.

    The weights kept are those of the epoch with the highest mAP on a tenth of the images, which are not
    trained on; their mAP on `val`, if given, is reported. Killed at any moment, the same call goes on after
    the last whole epoch and ends, on a CPU, with the bytes of an undisturbed run. An earlier classifier in
    `run` is replaced when this one is done, and not before.

    Under torchrun the processes share the rows of every batch and average their gradients, which is the
    training of one process, but for batch norm that is not frozen: it sees each process's own rows.

    Parameters
    ----------
    images
        photos and labels; those without a label are not used.
    config
        the settings; its `data`, `split` and `classes` are what `images` was opened by.
    run
        the folder to write.
    val
        images to report the mAP on.
    fabric
        Lightning's, which says on what devices and in how many processes; by default what there is.
    log
        takes messages for people.

    Returns
    -------
    The images left out, with the reason; of several processes the first returns them all, the others none.

    Raises
    ------
    BeyondcamError
        Where nothing can be learnt, training diverges, or another training is at work in `run`.

    """
    run, ids = Path(run), [i for i in images.ids if i in images.labels]
    if len(ids) < 2:
        why = "".join(f"; {i}: {reason}" for i, reason in [*images.unlabelled.items()][:1])
        raise BeyondcamError(
            f"{images.split} has {len(ids)} labelled images; two are the least{why}", parameter="split"
        )
    held, kept = _parts(ids, config.seed)
    epochs = config.epochs_for(len(kept))
    of_images = {"data": images.data, "split": images.split, "epochs": epochs}
    settings = json.loads(config.model_dump_json()) | of_images
    key = hash_of([settings, images.classes, [(i, sorted(images.labels[i])) for i in ids]])

    fabric = fabric or open_fabric()
    shard = fabric.global_rank, fabric.world_size
    state = read_checkpoint(run, key)
    seed_everything(config.seed, verbose=False)
    classifier = to_device(_initial(config, images.classes, resumed=state is not None), fabric)
    trainer = Trainer(
        classifier, _optimizer(classifier, config),
        labelled_samples(images, classifier, random_view(config, config.perturb)),
        lambda epoch: draw_batches(kept, config.batch, config.seed, epoch, shard),
        multilabel_loss, config, epochs, fabric, log,
        frozen=classifier if config.frozen_bn else None, ema=config.ema,
        validate=lambda candidate: mean_average_precision(cast(Classifier, candidate), images, held),
        held_out=len(held),
    )  # fmt: skip
    left_out: dict[str, str] = {}
    places = places_of(classifier)
    if fabric.is_global_zero:
        log(_what_is_seen(classifier.size, places, images, kept))
    with alone_in(run, fabric):
        progress = trainer.fit(run, key, state)
        if fabric.is_global_zero:
            unlabelled = (i for i in images.ids if i not in images.labels)
            left_out = {i: images.unlabelled.get(i, "no label") for i in unlabelled} | progress.left_out
            read = sum(i not in left_out for i in kept)
            classifier.load_state_dict(progress.weights)
            facts, unread = _judged(classifier, images, kept, val, log)
            training = {
                "epochs": progress.epochs, "images": read, "left_out": left_out,
                "labels": written_labels(images), "places": places, **facts,
            }  # fmt: skip
            _publish(run, {"train": settings, "classes": images.classes}, training, progress.weights)
            left_out = left_out | unread
        fabric.barrier()
    return left_out


def written_labels(images: LabelledImages) -> dict[str, str]:
    """The labels as `training.json` has them: id → names of classes, with `;` between them."""
    names = images.classes
    return {i: ";".join(names[c] for c in sorted(images.labels[i])) for i in images.ids if i in images.labels}


def _what_is_seen(size: int, places: int, images: LabelledImages, ids: Sequence[str]) -> str:
    """What the size of the input means in pixels of the photos, for people."""
    looked = (attempt(images.read)(i) for i in evenly(ids, 9))
    sizes = [photo.size for photo in looked if not isinstance(photo, LeftOut)]
    seen = f"photos are seen at {size}×{size} pixels, as {places}×{places} class activations"
    if not sizes:
        return seen
    height, width = np.median(sizes, 0)
    place = f"{width / places:.0f}×{height / places:.0f}"
    return (
        f"{seen}; in a photo of {width:.0f}×{height:.0f} one takes {place} pixels; for smaller things take a "
        "larger input (size) or a smaller stride (output_stride)"
    )


def _judged(
    classifier: Classifier, images: LabelledImages, kept: Sequence[str], val: LabelledImages | None, log: Log
) -> tuple[dict[str, Any], dict[str, str]]:
    """What is recorded of how good a classifier is, and the images of `val` that cannot be read."""
    learnt = score_photos(classifier, images, evenly(kept, DOUBTED))
    tested = score_photos(classifier, val, val.ids) if val else None
    doubted = alike(learnt) or doubt(learnt, images.split) or (val and tested and doubt(tested, val.split))
    if doubted:
        log(f"the classifier has learnt nothing: {doubted}")
    elif poor := poor_classes(tested or learnt, images.classes, f"of {val.split}" if val else "trained on"):
        log(poor)
    ap = tested.mean_precision() if tested else None
    if tested:
        none = "none of its images " + ("has a class" if len(tested.scores) else "can be read")
        log(f"no mAP on val: {none}" if ap is None else f"mAP on val: {ap:.4f}")
    return {"doubt": doubted, "val_map": ap}, tested.left_out if tested else {}


def _publish(run: Path, settings: object, training: object, weights: Mapping[str, Tensor]) -> None:
    """Put a finished training in the place of an earlier one.

    The earlier weights are removed first, so that they never stand beside the settings of others. If the
    process is killed in between, the checkpoint is still there to go on from.
    """
    for earlier in (run / "training.json", run / WEIGHTS):
        earlier.unlink(missing_ok=True)
    write_json(run / "config.json", settings)
    write_weights(run / WEIGHTS, weights)
    write_json(run / "training.json", training)
    (run / CHECKPOINT).unlink()


def _initial(config: TrainConfig, classes: Sequence[str], *, resumed: bool) -> Classifier:
    """The classifier that training begins with; if `resumed`, the checkpoint brings its weights."""
    if config.start is None or resumed:
        return build_as(config, classes, pretrained=not resumed)
    theirs, known = read_config(config.start)
    if adopted_in(config.start) is not None:
        raise BeyondcamError(
            f"{config.start} is of {theirs.backbone}, an adopted network, which this training does not know; "
            "train it by its own code and adopt it again",
            parameter="start",
        )
    pairs = [(name, getattr(theirs, name), getattr(config, name)) for name in NETWORK]
    for name, there, asked in (*pairs, ("classes", known, tuple(classes))):
        if there != asked:
            raise BeyondcamError(
                f"{config.start} was trained with {name} {there}, not {asked}", parameter="start"
            )
    return load_classifier(config.start)


def multilabel_loss(model: nn.Module, batch: Batch, fabric: Fabric) -> Tensor | None:
    """Binary cross entropy of the scores (B, C), the mean over all rows of a batch, for `Trainer.loss`.

    None where no process has a row; one that has none while others do must take part nevertheless.
    """
    x, y = batch.x, batch.y
    rows = total_of(len(x), fabric)
    if not rows:
        return None
    if not len(x) and not any(isinstance(module, _BatchNorm) for module in model.modules()):
        x = x.new_zeros(1, *x.shape[1:])  # transformers take no empty batch; batch norms would count the row
    scores = model(x).scores
    loss = F.binary_cross_entropy_with_logits(scores, y) if len(y) else scores.sum()
    return loss * (len(y) * fabric.world_size / rows)


def _optimizer(classifier: Classifier, config: TrainConfig) -> torch.optim.Optimizer:
    groups = [
        {"params": list(classifier.backbone.parameters()), "lr": config.lr},
        {"params": [classifier.weight], "lr": config.lr * config.head_lr},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=config.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)
