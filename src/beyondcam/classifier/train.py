"""Train a classifier from image-level labels, and nothing else."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, cast

import numpy as np
import torch
import torch.nn.functional as F
from lightning_fabric import Fabric, seed_everything
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from safetensors.torch import save
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from beyondcam.classifier.adopt import load_adopted
from beyondcam.classifier.build import build, restore
from beyondcam.classifier.model import Classifier
from beyondcam.data import LabelledImages, open_images
from beyondcam.devices import all_of, open_fabric, to_device, total_of
from beyondcam.errors import BeyondcamError
from beyondcam.files import ahead, read_json, write_json, write_whole
from beyondcam.perturbations import Mask, Noise, Plain, View, augmented, generator
from beyondcam.progress import track
from beyondcam.training import descend, freeze_norms, learning_rate

HELD_OUT = 0.1
"""Share of the training images that choose the checkpoint."""

PERTURB: dict[str, Noise | Mask] = {"noise": Noise(), "mask": Mask()}

NETWORK = ("backbone", "kernel", "pool", "output_stride", "size", "mean", "std")
"""What a classifier must have in common with the one it starts from."""

Positive = Annotated[int, Field(ge=1)]
Report = Callable[[str], None]


def _named(value: object) -> object:
    """A perturbation by its name."""
    if isinstance(value, str) and value not in PERTURB:
        raise ValueError(f"{' or '.join(PERTURB)} is needed, not {value!r}")
    return PERTURB[value] if isinstance(value, str) else value


def _odd(value: int) -> int:
    if value % 2 == 0:
        raise ValueError("an odd number is needed")
    return value


class TrainConfig(BaseModel):
    """Everything that decides what `train` makes; it is the `train` part of `RUN/config.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str
    split: str = "train"
    classes: tuple[str, ...] | None = None
    backbone: str = "tf_efficientnet_lite0"
    kernel: Annotated[int, Field(ge=1), AfterValidator(_odd)] = 5
    pool: bool = True
    output_stride: Literal[8, 16, 32] | None = None
    pretrained: bool = True
    weights: Path | None = None
    start: Path | None = None
    """A RUN whose classifier is tuned further, instead of ImageNet weights."""
    size: Annotated[int, Field(ge=16)] = 384
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None
    """Of the input, for pixels in [0, 1]; by default what timm has for the backbone."""
    epochs: Positive = 4
    batch: Positive = 16
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: Annotated[float, Field(gt=0)] = 1e-4
    head_lr: Annotated[float, Field(gt=0)] = 30.0
    """Learning rate of the head, as a multiple of the backbone's."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps over which the learning rate rises, before it falls as a cosine."""
    crop_scale: tuple[float, float] = (0.4, 1.0)
    """Area of the augmentation's random window, as a share of the image's."""
    flip: bool = True
    freeze_bn: bool | None = None
    """Keep batch norm at its pretrained statistics; the default does so wherever there are any."""
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.98
    """Decay of the running average of the weights, which is what is kept; 0 keeps the last weights."""
    perturb: Annotated[Noise | Mask | None, BeforeValidator(_named)] = None
    """Train on inputs perturbed so, by a setting or the name of one in `PERTURB`: the study's two others."""
    seed: int = 0

    @property
    def frozen_bn(self) -> bool:
        """Whether batch norm keeps its statistics."""
        if self.freeze_bn is not None:
            return self.freeze_bn
        return self.backbone != "convnet" and (self.pretrained or self.weights is not None)

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if self.start and self.weights:
            raise ValueError(f"--start {self.start} brings its own weights; leave out --weights")
        return self


def digits_config(**changes: object) -> TrainConfig:
    """The settings `train` starts from for the digit canvases: the study's ConvNet, no mirroring."""
    own = {"data": "digits", "backbone": "convnet", "size": 64, "flip": False, "epochs": 14, "batch": 16,
           "lr": 5e-3, "head_lr": 1.0, "crop_scale": (0.6, 1.0)}  # fmt: skip
    return TrainConfig.model_validate(own | changes)


def train_run(config: TrainConfig, run: Path, report: Report = print) -> dict[str, str]:
    """Open the data that `config` names, train, and report mAP on its split `val`, if it has one.

    Returns the images left out, with the reason; of several processes the first returns them all.
    """
    fabric = open_fabric()
    images = open_images(config.data, config.split, config.classes)
    left_out = train(images, config, run, report)
    if fabric.is_global_zero:
        ap = None
        try:
            ap = _val_map(images, config, run, left_out, fabric)
            report(f"mAP on val: {ap:.4f}")
        except BeyondcamError as error:
            report(f"no mAP on val: {error}")
        path = run / "training.json"
        write_json(path, read_json(path, "beyondcam train") | {"val_map": ap})
    fabric.barrier()
    return left_out


def _val_map(
    images: LabelledImages, config: TrainConfig, run: Path, left_out: dict[str, str], fabric: Fabric
) -> float:
    """mAP on the split `val`, if there is one, of the classifier trained on `images`."""
    val = open_images(config.data, "val", images.classes)
    trained = val.shared(images)
    ids = [i for i in val.ids if i in val.labels and i not in trained]
    if not ids:
        raise BeyondcamError("it has no labelled image that was not trained on")
    ap = mean_average_precision(to_device(load_classifier(run), fabric), val, ids, left_out)
    if ap is None:
        raise BeyondcamError("none of its images can be read")
    return ap


def train(images: LabelledImages, config: TrainConfig, run: Path, report: Report = print) -> dict[str, str]:
    """Train on `images` and write `RUN/classifier.safetensors`, `RUN/config.json`, `RUN/training.json`.

    The checkpoint is the epoch with the highest mAP on a tenth of the images, which are not trained on.
    Under torchrun the processes share the rows of every batch and average their gradients, which is the
    training of one process, but for batch norm that is not frozen: it sees each process's own rows.
    The first process alone writes and reports. Returns the images left out, with the reason; of several
    processes the first returns them all, the others none.
    """
    ids = [i for i in images.ids if i in images.labels]
    if len(ids) < 2:
        raise BeyondcamError(f"--split {images.split}: {len(ids)} labelled images; two are the least")
    shuffled = np.random.default_rng(config.seed).permutation(len(ids))
    parts = np.split(shuffled, [max(1, round(HELD_OUT * len(ids)))])
    held, kept = ([ids[n] for n in sorted(part)] for part in parts)

    seed_everything(config.seed, verbose=False)
    fabric = open_fabric()
    classifier = to_device(_begin(config, images.classes), fabric)
    optimizer = _optimizer(classifier, config)
    model, optimizer = fabric.setup(classifier, optimizer)
    running = AveragedModel(classifier, multi_avg_fn=get_ema_multi_avg_fn(config.ema), use_buffers=True)
    averaged = cast(Classifier, running.module)
    batches = len(range(0, len(kept), config.batch))
    steps = batches * config.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate(step, steps, config.warmup)
    )

    if fabric.is_global_zero:
        _begin_run(run, config, images)

    history: list[dict[str, float | None]] = []
    best = 0.0
    left_out = {i: images.unlabelled.get(i, "no label") for i in images.ids if i not in images.labels}
    share = fabric.global_rank, fabric.world_size
    for epoch in range(config.epochs):
        classifier.train()
        if config.frozen_bn:
            freeze_norms(classifier)
        total, taken = 0.0, 0
        loader = _training_batches(images, kept, classifier, config, epoch, left_out, share)
        for x, y in track(loader, f"epoch {epoch + 1}/{config.epochs}", batches):
            loss = _loss(model, x, y, fabric)
            if loss is None:
                continue
            total, taken = total + descend(loss, optimizer, fabric, epoch), taken + 1
            schedule.step()
            running.update_parameters(classifier)
        if not taken:
            reason = all_of(left_out, fabric)[kept[0]]
            raise BeyondcamError(f"--split {images.split}: none of its images can be read: {reason}")
        if not fabric.is_global_zero:
            continue  # and wait for the first one's choice in the next batch
        ap = mean_average_precision(averaged, images, held, left_out)
        if ap is None or ap >= best:  # without any, the last epoch stays
            best = ap or best
            kept_weights = {k: v.cpu().contiguous() for k, v in averaged.state_dict().items()}
            write_whole(run / "classifier.safetensors", save(kept_weights))
        history.append({"epoch": epoch + 1, "loss": total / taken, "held_out_map": ap})
        report(
            f"epoch {epoch + 1}: loss {total / taken:.4f}, "
            f"mAP on the held-out tenth {'unknown' if ap is None else format(ap, '.4f')}"
        )

    left_out = all_of(left_out, fabric)
    if not fabric.is_global_zero:
        return {}
    read = sum(i not in left_out for i in kept)
    write_json(run / "training.json", {"epochs": history, "images": read, "left_out": left_out})
    return left_out


def _begin_run(run: Path, config: TrainConfig, images: LabelledImages) -> None:
    """Write the settings, after what an earlier training by other ones may have left is gone."""
    for old in (run / "classifier.safetensors", run / "training.json"):
        if old.exists():
            old.unlink()
    settings = json.loads(config.model_dump_json()) | {"data": images.data}
    write_json(run / "config.json", {"train": settings, "classes": images.classes})


def _begin(config: TrainConfig, classes: Sequence[str]) -> Classifier:
    """The classifier that training begins with."""
    if config.start is None:
        return build(
            config.backbone, classes, config.size, kernel=config.kernel, pool=config.pool,
            output_stride=config.output_stride, pretrained=config.pretrained, weights=config.weights,
            mean=config.mean, std=config.std,
        )  # fmt: skip
    own, known = read_config(config.start)
    pairs = [(name, getattr(own, name), getattr(config, name)) for name in NETWORK]
    for name, there, asked in (*pairs, ("classes", known, tuple(classes))):
        if there != asked:
            raise BeyondcamError(f"--start {config.start}: was trained with {name} {there}, not {asked}")
    return load_classifier(config.start)


def load_classifier(run: Path | str) -> Classifier:
    """The classifier of a RUN, in eval mode, on the CPU."""
    run = Path(run)
    config, classes = read_config(run)
    adopted = read_json(run / "config.json", "beyondcam train").get("adopted")
    if adopted is not None:
        return load_adopted(run, adopted, classes)
    classifier = build(
        config.backbone, classes, config.size, kernel=config.kernel, pool=config.pool,
        output_stride=config.output_stride, mean=config.mean, std=config.std,
    )  # fmt: skip
    restore(
        classifier, run / "classifier.safetensors", f"a checkpoint of {config.backbone}", "beyondcam train"
    )
    classifier.checkpoint = hashlib.sha256((run / "classifier.safetensors").read_bytes()).hexdigest()[:10]
    return classifier.eval()


def read_config(run: Path) -> tuple[TrainConfig, tuple[str, ...]]:
    """The settings and classes of a RUN."""
    path = run / "config.json"
    content = read_json(path, f"beyondcam train --out {run}")
    try:
        return TrainConfig.model_validate(content["train"]), tuple(content["classes"])
    except (KeyError, TypeError, ValueError) as error:
        raise BeyondcamError(f"{path}: not a run's settings ({str(error).splitlines()[0]})") from None


def mean_average_precision(
    classifier: Classifier,
    images: LabelledImages,
    ids: Sequence[str],
    left_out: dict[str, str],
    batch: int = 16,
) -> float | None:
    """mAP over the classes that some of the images have, on whole images at the training size.

    Images that cannot be read are put into `left_out` with the reason and left out; None where all are.
    """
    from sklearn.metrics import average_precision_score  # here, since most commands never train

    classifier.eval()
    scores, truth = [], []
    view = Plain()

    def load(chunk: Sequence[str]) -> tuple[Tensor, Tensor]:
        return _stack(
            images, chunk, classifier, left_out,
            lambda i, height, width: next(view.views(i, height, width, classifier.size, 0)),
        )  # fmt: skip

    for x, y in ahead(load, [ids[n : n + batch] for n in range(0, len(ids), batch)]):
        with torch.no_grad():
            scores.append(classifier(x).scores.cpu())
        truth.append(y.cpu())
    s, t = torch.cat(scores).numpy(), torch.cat(truth).numpy()
    if not len(t):
        return None
    present = np.flatnonzero(t.any(0))
    return (
        float(np.mean([average_precision_score(t[:, c], s[:, c]) for c in present])) if len(present) else 0.0
    )


def _training_batches(
    images: LabelledImages,
    ids: Sequence[str],
    classifier: Classifier,
    config: TrainConfig,
    epoch: int,
    left_out: dict[str, str],
    share: tuple[int, int] = (0, 1),
) -> Iterator[tuple[Tensor, Tensor]]:
    """Inputs (B, 3, S, S) and labels (B, C) of an epoch; `share` (r, N): of every N-th row from the r-th."""
    rank, world = share
    order = generator(config.seed, "order", epoch).permutation(len(ids))
    batches = [order[s : s + config.batch] for s in range(0, len(ids), config.batch)]
    chunks = [[ids[n] for n in batch[rank::world]] for batch in batches]

    def load(chunk: Sequence[str]) -> tuple[Tensor, Tensor]:
        def view(image_id: str, height: int, width: int) -> View:
            return _augmented(generator(config.seed, "augment", epoch, image_id), height, width, config)

        return _stack(images, chunk, classifier, left_out, view)

    yield from ahead(load, chunks)


def _loss(model: nn.Module, x: Tensor, y: Tensor, fabric: Fabric) -> Tensor | None:
    """The loss of this process's rows of a batch, whose mean over the processes is the mean over all rows.

    None where no process has a row; one that has none while others do must take part nevertheless.
    """
    rows = total_of(torch.tensor(len(x)), fabric)
    if not rows:
        return None
    scores = model(x).scores
    own = F.binary_cross_entropy_with_logits(scores, y) if len(x) else scores.sum()
    return own * (len(x) * fabric.world_size / rows)


def _stack(
    images: LabelledImages,
    ids: Sequence[str],
    classifier: Classifier,
    left_out: dict[str, str],
    view: Callable[[str, int, int], View],
) -> tuple[Tensor, Tensor]:
    """Inputs (B, 3, S, S) and labels (B, C) of the images that can be read; B may be 0."""
    inputs, labels = [], []
    for i in ids:
        try:
            photo = images.read(i)
        except BeyondcamError as error:
            left_out[i] = str(error)
            continue
        drawn = view(i, photo.height, photo.width)
        inputs.append(drawn.altered(classifier.normalise(drawn.cut(photo.pixels))))
        labels.append(
            torch.zeros(len(images.classes)).index_fill_(
                0, torch.tensor(sorted(images.labels[i]), dtype=torch.long), 1
            )
        )
    if not inputs:
        empty = classifier.mean.new_empty
        return empty(0, 3, classifier.size, classifier.size), empty(0, len(images.classes))
    x = torch.stack(inputs).contiguous(memory_format=torch.channels_last)
    return x, torch.stack(labels).to(x.device)


def _augmented(rng: np.random.Generator, height: int, width: int, config: TrainConfig) -> View:
    """A random view, and the run's perturbation on top of it."""
    view = augmented(rng, height, width, config.size, config.crop_scale, flip=config.flip)
    perturb = config.perturb
    if perturb is None:
        return view
    return view._replace(alter=lambda x: perturb.alter(view.altered(x), rng))


def _optimizer(classifier: Classifier, config: TrainConfig) -> torch.optim.Optimizer:
    groups = [
        {"params": list(classifier.backbone.parameters()), "lr": config.lr},
        {"params": [classifier.weight], "lr": config.lr * config.head_lr},
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9, weight_decay=config.weight_decay)
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)
