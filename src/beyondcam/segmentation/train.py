"""Train a segmentation network on label images, whoever made them: nothing else comes in."""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError  # torch.load raises it for code in a file
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric, seed_everything
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from safetensors.torch import save
from torch import Tensor, nn

from beyondcam.classifier import restore
from beyondcam.data import VOID, LabelledImages
from beyondcam.devices import all_of, open_fabric, to_device, total_of
from beyondcam.errors import BeyondcamError
from beyondcam.files import ahead, hash_of, read_json, write_json, write_whole
from beyondcam.perturbations import View, augmented, generator
from beyondcam.progress import track
from beyondcam.seeds.labels import check_size
from beyondcam.segmentation.network import Segmenter, build_segmenter
from beyondcam.training import descend, freeze_norms, learning_rate

Labels = Callable[[str], NDArray[np.uint8]]
"""id → label image (H, W) of the photo as stored: 0 background, k class k, 255 void."""

Report = Callable[[str], None]
Values = dict[str, Any]

MADE_BY = "beyondcam segment"


class SegmentConfig(BaseModel):
    """Everything but the labels that decides what `segment` makes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str = "deeplabv3plus"
    encoder: str = "tf_efficientnet_lite0"
    pretrained: bool = True
    """Start from ImageNet weights, whose statistics batch norm then keeps."""
    weights: Path | None = None
    size: Annotated[int, Field(ge=32)] = 256
    epochs: Annotated[int, Field(ge=1)] = 12
    batch: Annotated[int, Field(ge=2)] = 8
    lr: Annotated[float, Field(gt=0)] = 2e-4
    head_lr: Annotated[float, Field(gt=0)] = 10.0
    """Learning rate of all but the encoder, as a multiple of the encoder's."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the steps over which the learning rate rises, before it falls as a cosine."""
    crop_scale: tuple[float, float] = (0.25, 1.0)
    """Area of the augmentation's random window, as a share of the image's."""
    flip: bool = True
    """Mirror images at random, and take the mean over both sides when predicting."""
    seed: int = 0


def digits_segment_config(**changes: object) -> SegmentConfig:
    """The settings `segment` starts from for the digit canvases: a small network from scratch, no mirroring.

    Weights of photos, and their batch norms' statistics, are of no use there.
    """
    own = {"architecture": "linknet", "encoder": "resnet10t", "pretrained": False, "size": 64, "batch": 8,
           "lr": 4e-3, "head_lr": 1.0, "warmup": 0.1, "flip": False, "crop_scale": (0.6, 1.0)}  # fmt: skip
    return SegmentConfig.model_validate(own | changes)


def train_segmenter(
    images: LabelledImages,
    labels: Labels,
    config: SegmentConfig,
    trained_on: Mapping[str, Any],
    out: Path,
    report: Report = print,
) -> dict[str, str]:
    """Train on `images` and their `labels`; write `out/network.safetensors`, `segment.json`, `training.json`.

    `trained_on` says what the labels are, and is kept in `segment.json`. Killed at any moment, it goes on
    after the last whole epoch and ends with the bytes of an undisturbed run; finished, it is not done again.
    Under torchrun the processes share the rows of every batch; each one's batch norm and dropout see its own.
    Returns the images left out, with the reason; of several processes the first returns them all.
    """
    about = {
        "config": json.loads(config.model_dump_json()),
        "classes": list(images.classes),
        "trained_on": {**trained_on, "data": images.data, "images": hash_of(images.ids)},
    }
    _check_same(out, about)
    fabric = open_fabric()
    if (out / "training.json").exists():
        if fabric.is_global_zero:
            report(f"{out}: is trained; to train it anew, delete it or give another --name")
        left_out: dict[str, str] = read_json(out / "training.json", MADE_BY)["left_out"]
        return left_out if fabric.is_global_zero else {}
    useless = all_of(_useless(images.ids[fabric.global_rank :: fabric.world_size], labels), fabric)
    ids = [i for i in images.ids if i not in useless]
    batch = _batch_of(ids, config, fabric.world_size, useless)

    seed_everything(config.seed, verbose=False)
    segmenter = build_segmenter(
        config.architecture, config.encoder, images.classes, config.size,
        pretrained=config.pretrained, weights=config.weights, mirror=config.flip,
    )  # fmt: skip
    segmenter = to_device(segmenter, fabric)
    own_optimizer = _optimizer(segmenter, config)
    model, optimizer = fabric.setup(segmenter, own_optimizer)
    checkpoint = out / "checkpoint.pt"
    history, left_out = _resume(checkpoint, segmenter, own_optimizer)
    left_out |= useless
    if fabric.is_global_zero:
        write_json(out / "segment.json", about)
    batches = len(ids) // batch
    for epoch in range(len(history), config.epochs):
        segmenter.train()
        if config.pretrained or config.weights is not None:
            freeze_norms(segmenter.network.get_submodule("encoder"))
        torch.manual_seed(_draw(config.seed, epoch, fabric.global_rank))  # of dropout
        loader = _batches(images, ids, labels, segmenter, config, batch, epoch, left_out, fabric)
        total, steps = 0.0, 0
        for n, (x, y) in enumerate(track(loader, f"epoch {epoch + 1}/{config.epochs}", batches)):
            rate = learning_rate(epoch * batches + n, config.epochs * batches, config.warmup)
            for group in own_optimizer.param_groups:
                group["lr"] = rate * group["highest"]
            loss = label_loss(model, x, y, fabric)
            if loss is None:
                continue
            total, steps = total + descend(loss, optimizer, fabric, epoch), steps + 1
        left_out = all_of(left_out, fabric)
        if not steps:
            raise BeyondcamError(f"{out}: nothing to learn from; {ids[0]}: {left_out.get(ids[0], 'void')}")
        history.append({"epoch": epoch + 1, "loss": total / steps})
        if fabric.is_global_zero:
            report(f"epoch {epoch + 1}: loss {total / steps:.4f}")
            _keep(checkpoint, segmenter, own_optimizer, history, left_out)
    if not fabric.is_global_zero:
        fabric.barrier()
        return {}
    weights = {k: v.cpu().contiguous() for k, v in segmenter.state_dict().items()}
    write_whole(out / "network.safetensors", save(weights))
    trained = len(images.ids) - len(left_out)
    write_json(out / "training.json", {"epochs": history, "images": trained, "left_out": left_out})
    checkpoint.unlink(missing_ok=True)
    fabric.barrier()
    return left_out


def label_loss(model: nn.Module, x: Tensor, y: Tensor, fabric: Fabric) -> Tensor | None:
    """Cross entropy of inputs (B, 3, S, S) and labels (B, S, S), void pixels left out.

    Of this process's rows; its mean over the processes is the mean over all their pixels. None where all
    pixels are void, or some process has fewer than the two rows that batch norm needs.
    """
    pixels = total_of((y != VOID).sum(), fabric)
    if not pixels or total_of(torch.tensor(float(len(x) < 2), device=x.device), fabric):
        return None
    return F.cross_entropy(model(x), y, ignore_index=VOID, reduction="sum") * (fabric.world_size / pixels)


def load_segmenter(folder: Path) -> Segmenter:
    """The segmentation network of a folder that `segment` made, in eval mode, on the CPU."""
    about = read_json(folder / "segment.json", MADE_BY)
    try:
        config, classes = SegmentConfig.model_validate(about["config"]), tuple(about["classes"])
    except (KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise BeyondcamError(f"{folder / 'segment.json'}: not a network's settings ({reason})") from None
    segmenter = build_segmenter(config.architecture, config.encoder, classes, config.size, mirror=config.flip)
    restore(segmenter, folder / "network.safetensors", f"a network of {config.architecture}", MADE_BY)
    return segmenter.eval()


def _check_same(out: Path, about: Values) -> None:
    """See to it that a folder with a network in it was made of the same labels, by the same settings."""
    path = out / "segment.json"
    begun = (out / "checkpoint.pt").exists() or (out / "training.json").exists()
    if not (begun and path.exists()):
        return
    there = read_json(path, MADE_BY)
    if not isinstance(there, dict) or not about.keys() <= there.keys():
        raise BeyondcamError(f"{path}: not a network's settings; delete {out}")
    for part, asked in about.items():
        if asked != there[part]:
            own = asked if isinstance(asked, dict) else {part: asked}
            held = there[part] if isinstance(asked, dict) else {part: there[part]}
            key = next(key for key in own | held if own.get(key, ...) != held.get(key, ...))
            raise BeyondcamError(
                f"{out}: holds a network of {key} {held.get(key)}, not {own.get(key)}; "
                "delete it or give another --name"
            )


def _resume(
    checkpoint: Path, segmenter: Segmenter, optimizer: torch.optim.Optimizer
) -> tuple[list[Values], dict[str, str]]:
    """Take up the last whole epoch, if there is one; return the epochs so far and the images left out."""
    if not checkpoint.exists():
        return [], {}
    try:
        state = torch.load(checkpoint, map_location=segmenter.mean.device, weights_only=True)
        segmenter.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        return state["history"], state["left_out"]
    except (OSError, EOFError, KeyError, TypeError, ValueError, RuntimeError, UnpicklingError) as error:
        reason = str(error).splitlines()[0]
        raise BeyondcamError(f"{checkpoint}: not a checkpoint ({reason}); delete it") from None


def _keep(
    checkpoint: Path,
    segmenter: Segmenter,
    optimizer: torch.optim.Optimizer,
    history: Sequence[Values],
    left_out: dict[str, str],
) -> None:
    """Write down all that the next epoch starts from."""
    buffer = io.BytesIO()
    state = {"network": segmenter.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state | {"history": list(history), "left_out": left_out}, buffer)
    write_whole(checkpoint, buffer.getvalue())


def _draw(seed: int, epoch: int, rank: int) -> int:
    return int(generator(seed, "dropout", epoch, rank).integers(2**63))


def _optimizer(segmenter: Segmenter, config: SegmentConfig) -> torch.optim.Optimizer:
    encoder = list(segmenter.network.get_submodule("encoder").parameters())
    inside = set(encoder)
    others = [p for p in segmenter.parameters() if p not in inside]
    highest = ((encoder, config.lr), (others, config.lr * config.head_lr))
    groups = [{"params": parameters, "lr": lr, "highest": lr} for parameters, lr in highest]
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)


def _useless(ids: Sequence[str], labels: Labels) -> dict[str, str]:
    """The images whose labels teach nothing, with the reason; they would leave gaps in batches."""

    def reason(image_id: str) -> str | None:
        try:
            return None if (labels(image_id) != VOID).any() else "all void"
        except BeyondcamError as error:
            return str(error)

    reasons = zip(ids, track(ahead(reason, ids), "labels", len(ids)), strict=True)
    return {i: why for i, why in reasons if why is not None}


def _batch_of(ids: Sequence[str], config: SegmentConfig, processes: int, useless: Mapping[str, str]) -> int:
    """How many images a batch has. Raises `BeyondcamError` where these are too few for so many processes."""
    if not ids:
        image, reason = next(iter(useless.items()))
        raise BeyondcamError(f"nothing to learn from; {image}: {reason}")
    batch = min(config.batch, len(ids))
    if batch < 2 * processes:
        raise BeyondcamError(
            f"--batch {config.batch} of {len(ids)} images: each of {processes} processes needs two a batch"
        )
    return batch


def _batches(
    images: LabelledImages,
    ids: Sequence[str],
    labels: Labels,
    segmenter: Segmenter,
    config: SegmentConfig,
    batch: int,
    epoch: int,
    left_out: dict[str, str],
    fabric: Fabric,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs (B, 3, S, S) and labels (B, S, S) of an epoch's full batches, this process's rows of each."""
    order = generator(config.seed, "order", epoch).permutation(len(ids))
    full = [order[n : n + batch] for n in range(0, len(order) - batch + 1, batch)]
    chunks = [[ids[n] for n in rows[fabric.global_rank :: fabric.world_size]] for rows in full]

    def load(chunk: Sequence[str]) -> tuple[Tensor, Tensor]:
        inputs, targets = [], []
        for i in chunk:
            try:
                photo, own = images.read(i), labels(i)
                check_size(photo, own)
            except BeyondcamError as error:
                left_out[i] = str(error)
                continue
            rng = generator(config.seed, "augment", epoch, i)
            view = augmented(rng, photo.height, photo.width, config.size, config.crop_scale, flip=config.flip)
            inputs.append(view.altered(segmenter.normalise(view.cut(photo.pixels))))
            targets.append(torch.from_numpy(cut_labels(own, view, (photo.height, photo.width))))
        if not inputs:
            empty = segmenter.mean.new_empty(0, 3, config.size, config.size)
            return empty, empty[:, 0].long()
        x = torch.stack(inputs).contiguous(memory_format=torch.channels_last)
        return x, torch.stack(targets).to(x.device)

    yield from ahead(load, chunks)


def cut_labels(labels: NDArray[np.uint8], view: View, size: tuple[int, int]) -> NDArray[np.int64]:
    """The labels under a view of a photo of `size` (h, w): at the centre of each of its pixels, (S, S)."""
    top, left, bottom, right = view.window
    along = (np.arange(view.size) + 0.5) / view.size
    rows = ((top + along * (bottom - top)) * labels.shape[0] / size[0]).astype(int)
    columns = ((left + along * (right - left)) * labels.shape[1] / size[1]).astype(int)
    cut = labels[rows[:, None], columns].astype(np.int64)
    return np.ascontiguousarray(cut[:, ::-1]) if view.flip else cut
