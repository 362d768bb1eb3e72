"""Train a segmentation network on label images, whoever made them: nothing else comes in."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric, seed_everything
from numpy.typing import NDArray
from torch import Tensor, nn

from beyondcam.data import VOID, LabelledImages, Photo
from beyondcam.devices import all_of, open_fabric, sum_of, synchronised, to_device, total_of
from beyondcam.errors import BeyondcamError
from beyondcam.files import hash_of, read_json, write_json
from beyondcam.label_images import check_size, digest_of
from beyondcam.outcome import Outcome
from beyondcam.perturbations import View
from beyondcam.progress import Log, each
from beyondcam.segmentation.config import SegmentConfig
from beyondcam.segmentation.network import MADE_BY, Segmenter, build_segmenter
from beyondcam.training.checkpoint import CHECKPOINT, alone_in, read_checkpoint, write_weights
from beyondcam.training.loop import Trainer
from beyondcam.training.samples import Batch, Samples, draw_batches, random_view

Labels = Callable[[str], NDArray[np.uint8]]
"""id → label image (H, W) of the photo as stored: 0 background, k class k, 255 void."""

Values = dict[str, Any]


def train_segmenter(
    images: LabelledImages,
    labels: Labels,
    config: SegmentConfig,
    trained_on: Mapping[str, Any],
    out: str | PathLike[str],
    *,
    weights: Mapping[str, float] | None = None,
    fabric: Fabric | None = None,
    log: Log = print,
) -> dict[str, str]:
    """Train on `images` and their `labels`; write `out/network.safetensors`, `segment.json`, `training.json`.

    Killed at any moment, the same call goes on after the last whole epoch and ends, on a CPU, with the bytes
    of an undisturbed run; finished, it is not done again. Under torchrun the processes share the rows of each
    batch; each one's dropout sees its own, and so does batch norm except between GPUs.

    Parameters
    ----------
    images
        the photos, and the classes; their labels are not used.
    labels
        id → uint8 (H, W), 0 background, k class k, 255 void.
    config
        the settings.
    trained_on
        what the labels are, in JSON's types; it is kept in `segment.json`.
    out
        the folder to write.
    weights
        id → weight of an image in the loss; 1 for the others.
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
        Where nothing can be learnt, training diverges, `out` has a network of other labels or settings, or
        another training is at work there.

    """
    out = Path(out)
    about = {
        "config": json.loads(config.model_dump_json()),
        "classes": list(images.classes),
        "trained_on": {**trained_on, "data": images.data, "images": hash_of(images.ids)},
        "weights": hash_of(dict(weights)) if weights else None,
    }
    _check_same(out, about)
    fabric = fabric or open_fabric()
    shard = fabric.global_rank, fabric.world_size
    found = digests_of(images.ids[shard[0] :: shard[1]], labels, len(images.classes))
    unusable = all_of(found.left_out, fabric)
    seen = hash_of(all_of(found.results, fabric))
    if (out / "training.json").exists():
        left_out = _left_out(out / "training.json", seen)
        if fabric.is_global_zero:
            log(f"{out}: is trained already; to train it again, delete it or give another name")
        return left_out if fabric.is_global_zero else {}
    ids = [i for i in images.ids if i not in unusable]
    if not ids:
        image, reason = min(unusable.items())
        raise BeyondcamError(f"none of the images can be trained on; {image}: {reason}")
    batch, least = min(config.batch, len(ids)), 2 * shard[1]
    if batch < least:
        few = len(ids) < least
        what = f"only {len(ids)} of the images can be trained on" if few else f"{batch} a batch are too few"
        parameter = None if few else "batch"
        raise BeyondcamError(f"{what}; {least} are needed, two in each process", parameter=parameter)

    def target(image_id: str, photo: Photo, view: View) -> Tensor:
        """The labels under a view: int64 (S, S)."""
        whole = np.asarray(labels(image_id))
        check_size(photo, whole)
        return torch.from_numpy(cut_labels(whole, view, (photo.height, photo.width)))

    key = hash_of([about, ids, seen])
    state = read_checkpoint(out, key)
    seed_everything(config.seed, verbose=False)
    segmenter = build_segmenter(
        config.architecture, config.encoder, images.classes, config.size,
        pretrained=config.pretrained and not state, weights=None if state else config.weights,
        mirror=config.flip,
    )  # fmt: skip
    segmenter = synchronised(to_device(segmenter, fabric), fabric)
    encoder = segmenter.network.get_submodule("encoder")
    trainer = Trainer(
        segmenter, _optimizer(segmenter, encoder, config),
        Samples(images, segmenter.normalise, config.size, random_view(config), target, weights or {}),
        lambda epoch: draw_batches(ids, batch, config.seed, epoch, shard, full=True),
        partial(label_loss, dice=config.dice), config, config.epochs_for(len(ids)), fabric, log,
        frozen=encoder if config.pretrained or config.weights is not None else None,
    )  # fmt: skip
    with alone_in(out, fabric):
        if fabric.is_global_zero:
            write_json(out / "segment.json", about)
        progress = trainer.fit(out, key, state)
        left_out = unusable | progress.left_out
        if fabric.is_global_zero:
            write_weights(out / "network.safetensors", progress.weights)
            read = len(images.ids) - len(left_out)
            facts = {"epochs": progress.epochs, "images": read, "left_out": left_out, "labels": seen}
            write_json(out / "training.json", facts)
            (out / CHECKPOINT).unlink()
        fabric.barrier()
    return left_out if fabric.is_global_zero else {}


def _left_out(path: Path, labels: str) -> dict[str, str]:
    """What a finished training left out. Raises `BeyondcamError`, also where it had other `labels`."""
    try:
        facts = read_json(path, MADE_BY)
        left_out, known = dict(facts["left_out"]), facts.get("labels", labels)  # earlier ones do not say
    except (LookupError, TypeError, ValueError):
        raise BeyondcamError(f"{path}: says not what was trained on; delete {path.parent}") from None
    if known != labels:
        raise BeyondcamError(
            f"{path.parent}: is trained on labels that have changed; delete it or give another name"
        )
    return left_out


def _check_same(out: Path, about: Values) -> None:
    """Raise `BeyondcamError` where a folder has a network of other labels or settings."""
    path = out / "segment.json"
    begun = (out / CHECKPOINT).exists() or (out / "training.json").exists()
    if not (begun and path.exists()):
        return
    there = read_json(path, MADE_BY)
    try:
        old, new = (
            {**of["config"], "classes": of["classes"], **of["trained_on"]}
            | {"weights": of.get("weights", about["weights"])}  # earlier ones do not say
            for of in (there, about)
        )
    except (KeyError, TypeError):
        raise BeyondcamError(f"{path}: not a network's settings; delete {out}") from None
    for key in new | old:
        moved = key == "data"  # photos elsewhere, whose label images are compared
        if not moved and old.get(key, ...) != new.get(key, ...):
            raise BeyondcamError(
                f"{out}: holds a network of {key} {old.get(key)}, not {new.get(key)}; "
                "delete it or give another name"
            )


def digests_of(ids: Sequence[str], labels: Labels, classes: int) -> Outcome[str]:
    """The digests of label images; those that cannot be learnt from, which would leave gaps, are left out."""

    def check(image_id: str) -> str:
        whole = np.asarray(labels(image_id))
        known = whole[whole != VOID]
        if not known.size:
            raise BeyondcamError("all void")
        if (highest := known.max()) > classes:
            raise BeyondcamError(f"has label {highest}, but there are {classes} classes")
        return digest_of(whole)

    return Outcome.of(each(check, ids, "labels"))


def label_loss(model: nn.Module, batch: Batch, fabric: Fabric, *, dice: float) -> Tensor | None:
    """Cross entropy of logits (B, C + 1, S, S) and labels (B, S, S), plus `dice` times their Dice loss.

    The cross entropy is the mean over the pixels of all rows, void ones left out, each weighted by its row's
    weight; a thing of a few pixels has no say in it. None where all pixels are void, or some process has
    fewer than the two rows that batch norm needs.
    """
    x, y, _, weights = batch
    if total_of(int(len(x) < 2), fabric):
        return None
    rows = weights if weights is not None else y.new_ones(len(y))
    pixels = total_of(((y != VOID).sum((1, 2)) * rows).sum(), fabric)
    if not pixels:
        return None
    logits = model(x)
    loss = F.cross_entropy(logits, y, ignore_index=VOID, reduction="none").sum((1, 2))  # (B,)
    entropy = (loss * rows).sum() * (fabric.world_size / pixels)
    return entropy + dice * dice_loss(logits, y, rows, fabric) if dice else entropy


def dice_loss(logits: Tensor, labels: Tensor, weights: Tensor, fabric: Fabric) -> Tensor:
    """1 - 2 Σ p t / (Σ p + Σ t), the mean over the labels that occur; 0 where none does.

    p are the probabilities of a label, by logits (B, C, S, S); t is 1 where `labels` (B, S, S) have it, else
    0. The sums are over the pixels of all processes but void ones, each weighted by its row's weight, (B,).
    Milletari, Navab and Ahmadi 2016, arXiv 1606.04797, section 3, without squares.
    """
    known = labels != VOID
    counted = (known * weights[:, None, None])[:, None]  # (B, 1, S, S)
    t = counted * F.one_hot(labels.where(known, 0), logits.shape[1]).movedim(-1, 1)  # (B, C, S, S)
    p = logits.softmax(1)
    sums = sum_of(torch.stack([n.sum((0, 2, 3)) for n in (p * t, counted * p, t)]), fabric)  # (3, C)
    both, found, true = sums[:, sums[2] > 0]  # (labels that occur,) each
    return (1 - 2 * both / (found + true)).sum() / max(1, len(true))


def cut_labels(labels: NDArray[np.uint8], view: View, size: tuple[int, int]) -> NDArray[np.int64]:
    """The labels under a view of a photo of `size` (h, w): at the centre of each of its pixels, (S, S)."""
    top, left, bottom, right = view.window
    along = (np.arange(view.size) + 0.5) / view.size
    rows = ((top + along * (bottom - top)) * labels.shape[0] / size[0]).astype(int)
    columns = ((left + along * (right - left)) * labels.shape[1] / size[1]).astype(int)
    cut = labels[rows[:, None], columns].astype(np.int64)
    return np.ascontiguousarray(cut[:, ::-1]) if view.flip else cut


def _optimizer(segmenter: Segmenter, encoder: nn.Module, config: SegmentConfig) -> torch.optim.Optimizer:
    inside = set(encoder.parameters())
    groups = [
        {"params": list(encoder.parameters()), "lr": config.lr},
        {"params": [p for p in segmenter.parameters() if p not in inside], "lr": config.lr * config.head_lr},
    ]
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)
