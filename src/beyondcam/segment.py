"""From label images to a scored segmentation network: train, predict, score against masks."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric

from beyondcam.data import LabelledImages, Masks, read_mask
from beyondcam.devices import all_of, open_fabric, to_device
from beyondcam.errors import BeyondcamError
from beyondcam.files import write_json
from beyondcam.metrics import (
    LabelCounts,
    NetworkRow,
    TrainedOn,
    band_of,
    estimate,
    label_mious,
    score_labels,
    threshold_of,
    write_segment,
)
from beyondcam.seeds import find_shelf, seed_labels
from beyondcam.segmentation import (
    Labels,
    SegmentConfig,
    Segmenter,
    load_segmenter,
    predict_split,
    train_segmenter,
)


@dataclass(frozen=True)
class Lesson:
    """What a network is trained on.

    Attributes
    ----------
    name : of what is learnt, a part of the network's own name.
    images : the images.
    labels : id → label image.
    facts : what a row of `RUN/segments.json` says of them.

    """

    name: str
    images: LabelledImages
    labels: Labels
    facts: TrainedOn


@dataclass(frozen=True)
class Exam:
    """The images that networks are scored on, and their masks."""

    images: LabelledImages
    masks: Masks

    def check(self, trained_on: LabelledImages) -> None:
        """See to it that no image is both trained on and scored. Raises `BeyondcamError`."""
        if seen := self.images.shared(trained_on):
            raise BeyondcamError(
                f"--eval-split {self.images.split}: {len(seen)} of its images are in "
                f"--seeds-split {trained_on.split}, which is trained on"
            )


def seeds_lesson(
    run: Path, images: LabelledImages, recipe: str, threshold: str = "blind", void: str = "0"
) -> Lesson:
    """The seeds of a recipe, as `seed_labels` has them; both are values or the names of rules."""
    shelf = find_shelf(run, images, recipe)
    value = threshold_of(run, shelf, images, threshold)
    band = band_of(run, shelf, images, void, value)
    facts = TrainedOn(
        trained_on="seeds",
        seeds_split=images.split,
        recipe=recipe,
        **{key: shelf.manifest[key] for key in ("recipe_hash", "checkpoint", "targets")},
        mapped=sum(shelf.path(i).exists() for i in images.ids),
        threshold_rule=threshold if threshold.isalpha() else "fixed",
        threshold=value,
        void=band,
    )
    name = f"{recipe}-{threshold}" + (f"-void{void}" if band else "")
    return Lesson(name, images, lambda i: seed_labels(shelf.read(i), value, band), facts)


def truth_lesson(images: LabelledImages, masks: Masks) -> Lesson:
    """The masks themselves: the upper bound of what seeds can teach."""
    facts = TrainedOn(
        trained_on="truth",
        seeds_split=images.split,
        **dict.fromkeys(("recipe", "recipe_hash", "mapped", "threshold_rule", "threshold", "void")),
    )
    return Lesson("truth", images, lambda i: masks.read(i).numpy(), facts)


def segment_run(
    run: Path,
    lesson: Lesson,
    config: SegmentConfig,
    exam: Exam | None,
    *,
    rounds: int = 1,
    name: str | None = None,
    say: Callable[[str], None] = print,
) -> dict[str, str]:
    """Train a network on the lesson as `RUN/segment/NAME`, and score it in the exam, if there is one.

    Each further round trains another, `NAME-roundN`, on what the one before predicts for the lesson's images,
    kept to their image-level labels. Returns the images left out, with the reason; of several processes the
    first returns them all.
    """
    if exam:
        exam.check(lesson.images)
    if rounds > 1 and not any(i in lesson.images.labels for i in lesson.images.ids):
        raise BeyondcamError(
            f"--rounds {rounds}: no image of --seeds-split {lesson.images.split} has a label, to which a "
            "further round is kept"
        )
    fabric = open_fabric()
    name = name or f"{lesson.name}-{config.seed}"
    left_out: dict[str, str] = {}
    scored: list[LabelCounts] = []
    for number in range(1, rounds + 1):
        own = name if number == 1 else f"{name}-round{number}"
        folder, facts = run / "segment" / own, lesson.facts.to_json() | {"round": number}
        left_out |= train_segmenter(lesson.images, lesson.labels, config, facts, folder, say)
        segmenter = to_device(load_segmenter(folder), fabric)
        if exam:
            counts = _examine(segmenter, exam, folder / "predictions" / exam.images.split, fabric, left_out)
            if counts:
                write_segment(run, _row(own, facts, exam, config, counts), counts)
                scored.append(counts)
        if number < rounds:
            kept = folder / "predictions" / lesson.images.split
            lesson = _next(lesson, segmenter, kept, fabric, left_out)
    if len(scored) > 1:
        first, *_, last = label_mious(scored)
        difference, interval = estimate(last - first)
        low, high = interval or (difference, difference)
        say(f"round {rounds} less round 1: mIoU {difference:+.3f} [{low:+.3f}, {high:+.3f}]")
    if fabric.is_global_zero:
        write_json(run / "left_out" / f"segment-{name}.json", left_out)
    fabric.barrier()
    return left_out if fabric.is_global_zero else {}


def _examine(
    segmenter: Segmenter, exam: Exam, folder: Path, fabric: Fabric, left_out: dict[str, str]
) -> LabelCounts | None:
    """Write the predictions and count them; of several processes the first counts."""
    share = fabric.global_rank, fabric.world_size
    missing = all_of(predict_split(segmenter, exam.images, folder, share=share), fabric)
    left_out |= missing
    if not fabric.is_global_zero:
        return None
    ids = [i for i in exam.images.ids if i not in missing]
    counts, unread = score_labels(_stored(folder), ids, exam.masks)
    left_out |= unread
    return counts


def _next(
    lesson: Lesson, segmenter: Segmenter, folder: Path, fabric: Fabric, left_out: dict[str, str]
) -> Lesson:
    """The lesson of the round to come: what the network predicts, kept to the image-level labels."""
    share = fabric.global_rank, fabric.world_size
    missing = all_of(predict_split(segmenter, lesson.images, folder, to_labels=True, share=share), fabric)
    left_out |= missing
    ids = tuple(i for i in lesson.images.ids if i not in missing)
    return replace(lesson, images=replace(lesson.images, ids=ids), labels=_stored(folder))


def _stored(folder: Path) -> Labels:
    """Predictions on disk."""
    return lambda i: read_mask(folder / f"{i}.png").numpy()


def _row(
    name: str, facts: dict[str, Any], exam: Exam, config: SegmentConfig, counts: LabelCounts
) -> NetworkRow:
    """The row of a network and its score."""
    miou, interval = estimate(label_mious([counts])[0])
    by_class = zip(("background", *exam.images.classes), counts.by_class().tolist(), strict=True)
    return NetworkRow(
        name=name,
        **facts,
        training_seed=config.seed,
        architecture=config.architecture,
        encoder=config.encoder,
        config=config.model_dump(mode="json"),
        data=exam.images.data,
        split=exam.images.split,
        miou=miou,
        iou={label: None if math.isnan(value) else value for label, value in by_class},
        ci={"miou": interval},
        images=len(counts.ids),
    )
