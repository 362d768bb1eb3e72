"""From label images to a scored segmentation network: train, predict, score against masks."""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from lightning_fabric import Fabric
from numpy.typing import NDArray

from beyondcam.data import LabelledImages
from beyondcam.data.mask_file import read_label_image
from beyondcam.data.masks import Masks
from beyondcam.devices import all_of, to_device
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import Shelf
from beyondcam.files import hash_of, path_below, write_json
from beyondcam.metrics import (
    LabelCounts,
    NetworkRow,
    Supervision,
    TrainedOn,
    band_of,
    estimate,
    label_mious,
    pretraining_of,
    score_labels,
    supervision_of,
    supervision_of_network,
    threshold_of,
    write_segment,
)
from beyondcam.metrics.text import change
from beyondcam.outcome import LeftOut, attempt
from beyondcam.progress import Log
from beyondcam.reviews import open_reviews
from beyondcam.seeds import SeedsAndMasks
from beyondcam.segmentation import (
    Labels,
    SegmentConfig,
    Segmenter,
    load_segmenter,
    predict_split,
    train_segmenter,
)


@dataclass(frozen=True)
class LabelSource:
    """Images with the label images that a network is trained on.

    Attributes
    ----------
    name : of the source; the network's name begins with it.
    images : the images.
    labels : id → label image.
    facts : what a row of `RUN/segments.json` says of them.
    reviewed : the images whose label image a human accepted or corrected.
    ledger : what the seeds have seen; None of masks.

    """

    name: str
    images: LabelledImages
    labels: Labels
    facts: TrainedOn
    reviewed: frozenset[str] = frozenset()
    ledger: Supervision | None = None


@dataclass(frozen=True)
class EvaluationSplit:
    """The images that networks are scored on, and their masks."""

    images: LabelledImages
    masks: Masks

    def checked(self, trained_on: LabelledImages) -> Self:
        """The same. Raises `BeyondcamError` where an image is trained on too, or no mask can be read."""
        if seen := self.images.shared(trained_on):
            raise BeyondcamError(
                f"{len(seen)} of the images of {self.images.split} are in {trained_on.split}, "
                "which is trained on; name another",
                parameter="eval_split",
            )
        reason = "it has no images"
        for mask in map(attempt(self.masks.read), self.images.ids):
            if not isinstance(mask, LeftOut):
                return self
            reason = mask.reason
        raise BeyondcamError(f"no mask of {self.images.split} can be read: {reason}", parameter="eval_split")


def labels_of_seeds(
    run: Path,
    images: LabelledImages,
    shelf: Shelf,
    threshold: str = "adaptive",
    void: str = "0",
) -> LabelSource:
    """The seeds of a shelf's evidence, by `seed_labels`; `threshold` and `void` are values or names of rules.

    A mask that a human accepted or corrected, by the RUN's reviews of the split, takes the place of a seed,
    and a photo whose mask was rejected is left out. So is one that is labelled but has an empty seed, from
    which a network would learn that its class is background.
    """
    value = threshold_of(run, images, shelf, threshold)
    band = band_of(run, images, shelf, void, value)
    sources = SeedsAndMasks(images, shelf, value, open_reviews(run, images), band)
    held = sources.masked
    rejected = {i for i, decision in sources.decisions.items() if decision.state == "rejected"}
    facts = TrainedOn(
        trained_on="seeds",
        seeds_split=images.split,
        recipe=shelf.name,
        **{key: shelf.manifest[key] for key in ("recipe_hash", "checkpoint", "targets")},
        mapped=sum(shelf.path(i).exists() for i in images.ids),
        threshold_rule=threshold if threshold.isalpha() else "fixed",
        threshold=value.value,
        fall=value.fall,
        void=band,
        supervision="labels" + (f" + {len(held)} masks" if held else "") + _who_chose(threshold),
        masks=hash_of([(i, decision.mask) for i, decision in held.items()]) if held else None,
    )
    name = f"{shelf.name}-{threshold}" + (f"-void{void}" if band else "")
    if held or rejected:
        name += f"-reviewed-{hash_of([facts.masks, sorted(rejected)])[:4]}"
    kept = replace(images, ids=tuple(i for i in images.ids if i not in rejected))

    def labels(image_id: str) -> NDArray[np.uint8]:
        found, evidence = sources.read(image_id)
        if evidence is not None and images.labels.get(image_id) and not found.present:
            raise BeyondcamError("not trained on: its seed shows nothing, although it is labelled")
        return found.labels

    rule = facts.threshold_rule or "fixed"
    ledger = supervision_of(
        pretraining_of(run), shelf.manifest["recipe"], rule, rule if rule in ("few", "train") else None
    )
    return LabelSource(name, kept, labels, facts, frozenset(held), ledger)


def _who_chose(threshold: str) -> str:
    """What a network's supervision says of τ: nothing where it is found from evidence and labels alone."""
    if threshold in ("adaptive", "blind"):
        return ""
    return f", τ by masks ({threshold})" if threshold.isalpha() else ", τ given"


def labels_of_masks(images: LabelledImages, masks: Masks) -> LabelSource:
    """The masks themselves: the upper bound for networks trained on seeds."""
    facts = TrainedOn(
        trained_on="truth",
        seeds_split=images.split,
        supervision="masks",
        **dict.fromkeys(("recipe", "recipe_hash", "mapped", "threshold_rule", "threshold", "void")),
    )
    return LabelSource("truth", images, lambda i: masks.read(i).numpy(), facts)


def segment_run(
    run: Path,
    source: LabelSource,
    config: SegmentConfig,
    evaluation: EvaluationSplit | None,
    fabric: Fabric,
    *,
    rounds: int = 1,
    name: str | None = None,
    log: Log = print,
) -> dict[str, str]:
    """Train a network on the source's labels as `RUN/segment/NAME`, and score it on `evaluation`, if given.

    Each further round trains another, `NAME-roundN`, on what the one before predicts for the source's images,
    limited to their image-level labels; masks of humans stay. Returns the images left out, with the reason;
    of several processes the first returns them all.
    """
    if evaluation:
        evaluation.checked(source.images)
    if rounds > 1 and not any(i in source.images.labels for i in source.images.ids):
        raise BeyondcamError(
            f"no image of {source.images.split} has a label, to which the predictions of a round are "
            "limited; leave out rounds",
            parameter="rounds",
        )
    name = name or f"{source.name}-{config.seed}"
    left_out: dict[str, str] = {}
    scored: list[LabelCounts] = []
    for number in range(1, rounds + 1):
        network = name if number == 1 else f"{name}-round{number}"
        folder, facts = run / "segment" / network, source.facts.to_json() | {"round": number}
        left_out |= train_segmenter(
            source.images, source.labels, config, facts, folder,
            weights=dict.fromkeys(source.reviewed, config.reviewed_weight), fabric=fabric, log=log,
        )  # fmt: skip
        segmenter = to_device(load_segmenter(folder), fabric)
        if evaluation:
            out = folder / "predictions" / evaluation.images.split
            counts = _evaluate(segmenter, evaluation, out, fabric, left_out)
            if counts:
                row = _row(network, facts, evaluation, config, counts, source.ledger)
                write_segment(run, row, counts)
                scored.append(counts)
        if number < rounds:
            out = folder / "predictions" / source.images.split
            source = _labels_of_predictions(source, segmenter, out, fabric, left_out)
    if len(scored) > 1:
        first, *_, last = label_mious(scored)
        log(f"round {rounds} less round 1: mIoU {change(last - first)}")
    if fabric.is_global_zero:
        write_json(run / "left_out" / f"segment-{name}.json", left_out)
    fabric.barrier()
    return left_out if fabric.is_global_zero else {}


def _evaluate(
    segmenter: Segmenter, evaluation: EvaluationSplit, out: Path, fabric: Fabric, left_out: dict[str, str]
) -> LabelCounts | None:
    """Write the predictions and count them against the masks; of several processes the first counts."""
    ids, labels = _predicted(segmenter, evaluation.images, out, fabric, left_out)
    if not fabric.is_global_zero:
        return None
    counts, unread = score_labels(labels, ids, evaluation.masks)
    left_out |= unread
    return counts


def _labels_of_predictions(
    source: LabelSource, segmenter: Segmenter, out: Path, fabric: Fabric, left_out: dict[str, str]
) -> LabelSource:
    """The labels of the next round: what the network predicts, limited to the image-level labels.

    Those that a human accepted or corrected stay, of whatever photo.
    """
    images, own = source.images, source.reviewed

    def labels(image_id: str) -> NDArray[np.uint8]:
        if image_id in own:
            return source.labels(image_id)
        found = predicted(image_id)
        if images.labels.get(image_id) and not found.any():
            raise BeyondcamError("not trained on: the round before finds nothing, although it is labelled")
        return found

    others = replace(images, ids=tuple(i for i in images.ids if i not in own))
    ids, predicted = _predicted(segmenter, others, out, fabric, left_out, to_labels=True)
    kept = own.union(ids)
    return replace(
        source,
        images=replace(images, ids=tuple(i for i in images.ids if i in kept)),
        labels=labels,
    )


def _predicted(
    segmenter: Segmenter,
    images: LabelledImages,
    out: Path,
    fabric: Fabric,
    left_out: dict[str, str],
    *,
    to_labels: bool = False,
) -> tuple[tuple[str, ...], Labels]:
    """Predict as `predict_split` does, each process its part; the ids of what was written, and its labels."""
    shard = fabric.global_rank, fabric.world_size
    missing = all_of(predict_split(segmenter, images, out, to_labels=to_labels, shard=shard), fabric)
    left_out |= missing
    ids = tuple(i for i in images.ids if i not in missing)
    return ids, lambda i: read_label_image(path_below(out, i, ".png"))


def _row(
    name: str, facts: dict[str, Any], evaluation: EvaluationSplit, config: SegmentConfig, counts: LabelCounts,
    seeds: Supervision | None,
) -> NetworkRow:  # fmt: skip
    """The row of a network and its score."""
    miou, interval = estimate(label_mious([counts])[0])
    by_class = zip(("background", *evaluation.images.classes), counts.by_class().tolist(), strict=True)
    return NetworkRow(
        name=name,
        **facts,
        training_seed=config.seed,
        architecture=config.architecture,
        encoder=config.encoder,
        config=config.model_dump(mode="json"),
        data=evaluation.images.data,
        split=evaluation.images.split,
        miou=miou,
        iou={label: None if math.isnan(value) else value for label, value in by_class},
        ci={"miou": interval},
        images=len(counts.ids),
        ledger=supervision_of_network(
            pretrained=config.pretrained or config.weights is not None, mirrored=config.flip, seeds=seeds
        ),
    )
