"""The table that counts in the end: what a segmentation network makes of each recipe's seeds.

    python benchmarks/segment.py --data voc:$BEYONDCAM_DATA/voc2012_animals --out runs/animals \
        --row cam --row cam-ms --row best --row best:0.1 --several best --several truth

RUN has a classifier (`benchmarks/voc.py` or `beyondcam train` makes it). A row is RECIPE:THRESHOLD:VOID as
`segment` takes them, in full RECIPE:blind:0. Maps what is missing, trains a network on each row's seeds and
on the truth, all by one schedule, scores them on `val`, and writes the section `segment` of docs/results.md.
Every step can be resumed.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from beyondcam import Cookbook, load_classifier, map_split, score_split
from beyondcam.classifier import read_config
from beyondcam.data import LabelledImages, Masks
from beyondcam.evidence import find_shelf, map_witnesses
from beyondcam.metrics import (
    REFERENCE,
    NetworkRow,
    Row,
    counts_of,
    estimate,
    label_mious,
    read_segments,
    threshold_of,
)
from beyondcam.metrics.text import bounded, cell
from beyondcam.segment import EvaluationSplit, LabelSource, labels_of_masks, labels_of_seeds, segment_run
from beyondcam.segmentation import SegmentConfig
from inputs import fabric, on_device, open_scored
from results import change, shown, table, write_section

SECOND = "-round2"  # ends the names of networks that `segment_run` trains in a second round

SEED_METRICS = {"miou": "seed mIoU", "ndr_recall": "NDR-Recall", "fg_precision": "FG-Precision"}

Samples = NDArray[np.float64]


@dataclass
class Taught:
    """What networks were trained on, how good it is, and what they reached.

    Attributes
    ----------
    name : in the table.
    seeds : the row of scores of the seeds on the images trained on; None for the truth.
    threshold : of the seeds.
    void : of the seeds, how close to √τ a pixel's √v is left void.
    networks : their names, one a training seed.

    """

    name: str
    seeds: Row | None
    threshold: float | None
    void: float | None
    networks: list[str]


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--row", action="append", required=True, help="RECIPE[:THRESHOLD[:VOID]]")
    parser.add_argument(
        "--several", action="append", default=[], help="row (or truth) to train more than once"
    )
    parser.add_argument("--against", default=REFERENCE, help="the row that the others are compared with")
    parser.add_argument(
        "--second", action="append", default=[], help="row whose first network goes a second round"
    )
    parser.add_argument("--training-seeds", type=int, default=3, help="how often that is")
    parser.add_argument("--seeds-split", default="train_aug")
    parser.add_argument("--schedule", default="", help="epochs to try on the training images: 6,12,24")
    parser.add_argument("--epochs", type=int, default=SegmentConfig().epochs)
    parser.add_argument("--size", type=int, default=SegmentConfig().size)
    arguments = parser.parse_args()
    run, data = arguments.out, arguments.data
    config = SegmentConfig(epochs=arguments.epochs, size=arguments.size)
    _, classes = read_config(run)
    images, masks = open_scored(data, arguments.seeds_split, classes)
    exam = EvaluationSplit(*open_scored(data, "val", classes))
    train = open_scored(data, "train", classes)

    asked = {name: name.split(":") for name in arguments.row}
    prepare(run, images, {REFERENCE, *(recipe for recipe, *_ in asked.values())})
    rows = []
    for name, parts in asked.items():
        lesson = labels_of_seeds(run, images, *parts)
        facts = lesson.facts
        rows.append(Taught(name, seed_scores(run, lesson, masks), facts.threshold, facts.void, []))
        taught(run, lesson, config, exam, rows[-1], arguments)
        if name in arguments.second:
            second = [f"{rows[-1].networks[0]}{SECOND}"]
            rows.append(replace(rows[-1], name=f"{name}, round 2", networks=second))
    truth = Taught("truth", None, None, None, [])
    taught(run, labels_of_masks(images, masks), config, exam, truth, arguments)
    body = section(run, [*rows, truth], arguments.against, config, images, exam)
    if arguments.schedule:
        body += schedules(run, images, masks, train, config, map(int, arguments.schedule.split(",")))
    words = " ".join(sys.argv[1:]).replace(data, shown(data))
    write_section("segment", "Networks trained on the seeds", f"python benchmarks/segment.py {words}", body)


def prepare(run: Path, images: LabelledImages, names: set[str]) -> None:
    """Map what is not mapped yet."""
    cookbook = Cookbook()
    recipes = {name: cookbook.recipe(name) for name in sorted(names)}
    classifier = on_device(load_classifier(run))
    left_out = map_split(classifier, images, recipes, run, workers=None)
    left_out |= map_witnesses(classifier, images, run, workers=None)
    for image, reason in left_out.items():
        log(f"left out: {image}: {reason}")


def seed_scores(run: Path, lesson: LabelSource, masks: Masks) -> Row:
    """The scores of a lesson's seeds against the masks of the images trained on, which nobody learns from."""
    shelf, reference = (
        find_shelf(run, lesson.images, name) for name in (str(lesson.facts.recipe), REFERENCE)
    )
    scores = score_split(
        run, lesson.images, masks,
        threshold=lesson.facts.threshold,
        reference_threshold=threshold_of(run, reference, lesson.images, "blind"),
        among=[reference] if shelf.name == REFERENCE else [reference, shelf],
    )  # fmt: skip
    return scores.row(shelf.name, "fixed")


def taught(
    run: Path,
    lesson: LabelSource,
    config: SegmentConfig,
    exam: EvaluationSplit,
    row: Taught,
    arguments: argparse.Namespace,
) -> None:
    """Train the networks of a row."""
    times = arguments.training_seeds if row.name in arguments.several else 1
    for seed in range(times):
        name = f"{lesson.name}-{seed}"
        rounds = 2 if seed == 0 and row.name in arguments.second else 1
        network(run, lesson, config.model_copy(update={"seed": seed}), exam, name, rounds)
        row.networks.append(name)


def network(
    run: Path, lesson: LabelSource, config: SegmentConfig, exam: EvaluationSplit, name: str, rounds: int = 1
) -> NetworkRow:
    """The row of a network's last round, which is trained and scored where it does not stand yet."""
    asked = {
        **lesson.facts.to_json(),
        "config": config.model_dump(mode="json"),
        "name": name if rounds == 1 else f"{name}{SECOND}",
        "data": exam.images.data,
        "split": exam.images.split,
    }

    def standing() -> list[NetworkRow]:
        return [row for row in read_segments(run) if asked.items() <= row.to_json().items()]

    if not standing():
        log(f"network {name}")
        left_out = segment_run(run, lesson, config, exam, fabric(), rounds=rounds, name=name, log=log)
        for image, reason in left_out.items():
            log(f"left out: {image}: {reason}")
    return standing()[0]


def schedules(
    run: Path,
    images: LabelledImages,
    masks: Masks,
    train: tuple[LabelledImages, Masks],
    config: SegmentConfig,
    lengths: Iterable[int],
) -> str:
    """The truth of the images outside `train`, learnt for so many epochs and scored on `train`."""
    held, place = set(train[0].ids), run / "schedule"
    outside = replace(images, ids=tuple(i for i in images.ids if i not in held))
    rows = []
    for epochs in lengths:
        own = config.model_copy(update={"epochs": epochs})
        rows.append(
            network(
                place, labels_of_masks(outside, masks), own, EvaluationSplit(*train), f"truth-{epochs}-epochs"
            )
        )
    mious = label_mious([counts_of(place, row) for row in rows])
    changes = ["–", *(change(longer - shorter) for shorter, longer in pairwise(mious))]
    tried = (
        (
            epochs := row.config["epochs"],
            epochs * (len(outside.ids) // config.batch),
            bounded(row.miou, row.ci["miou"]),
            changed,
        )
        for row, changed in zip(rows, changes, strict=True)
    )
    return (
        f"\n\nThe truth of the {len(outside.ids)} images outside `train`, by the length of the schedule:\n\n"
        + table(*tried, head=("epochs", "steps", "mIoU on `train`", "less the row above"))
    )


def over_seeds(samples: Samples) -> Samples:
    """The mean over networks (networks, samples), in every resample over as many drawn with replacement."""
    networks, count = samples.shape
    drawn = np.random.default_rng(0).integers(networks, size=(networks, count))
    drawn[:, 0] = np.arange(networks)
    return np.take_along_axis(samples, drawn, 0).mean(0)


def correlations(rows: list[Taught], final: list[Samples]) -> dict[str, Samples]:
    """Spearman's ρ over the rows between each metric of the seeds and the final mIoU, in every sample."""
    found = {}
    for metric in SEED_METRICS:
        own = [row.seeds.metrics[metric] for row in rows if row.seeds]
        each = [spearmanr(own, mious).statistic for mious in np.transpose(final)]
        found[metric] = np.array(each)
    return found


def section(
    run: Path,
    rows: list[Taught],
    against: str,
    config: SegmentConfig,
    images: LabelledImages,
    exam: EvaluationSplit,
) -> str:
    """The text of the section."""
    stored = {row.name: row for row in read_segments(run) if row.split == exam.images.split}
    names = [name for row in rows for name in row.networks]
    samples = dict(zip(names, label_mious([counts_of(run, stored[name]) for name in names]), strict=True))
    final = {row.name: over_seeds(np.stack([samples[name] for name in row.networks])) for row in rows}
    truth = final[rows[-1].name]
    by_row = table(
        *(
            (
                f"`{row.name}`",
                *("–" if value is None else f"{value:.3f}" for value in (row.threshold, row.void)),
                *(cell(row.seeds, metric) if row.seeds else "–" for metric in SEED_METRICS),
                len(row.networks),
                bounded(*estimate(final[row.name])),
                bounded(*estimate(final[row.name] / truth)),
                "–" if row.name == against else change(final[row.name] - final[against]),
            )
            for row in rows
        ),
        head=(
            "trained on",
            "τ",
            "void",
            *SEED_METRICS.values(),
            "networks",
            "final mIoU",
            "share of truth's",
            f"less `{against}`",
        ),
    )
    text = (
        f"{config.architecture} over {config.encoder} at {config.size} px, {config.epochs} epochs of "
        f"{len(images.ids) // config.batch} steps over {len(images.ids)} images of `{images.split}`, scored "
        f"on {stored[names[0]].images} of `{exam.images.split}`. Intervals of the last three columns are "
        "over images and training seeds, differences are paired; the seeds are scored on the images trained "
        f"on, void or not.\n\n{by_row}"
    )
    seconds = [row for row in rows if row.networks[0].endswith(SECOND)]
    first = [row for row in rows if row.seeds and not row.void and row not in seconds]
    if len(first) > 2:
        found = correlations(first, [final[row.name] for row in first])
        ranks = table(
            *((SEED_METRICS[metric], bounded(*estimate(each))) for metric, each in found.items()),
            head=("metric of the seeds", "Spearman's ρ with the final mIoU"),
        )
        text += (
            f"\n\nWhat predicts the final mIoU, over the {len(first)} rows whose seeds leave nothing void:"
            f"\n\n{ranks}"
        )
    for row in seconds:
        network = row.networks[0].removesuffix(SECOND)
        changed = change(final[row.name] - samples[network])
        text += f"\n\nThe second round of `{network}` changes its mIoU by {changed}, over images."
    return text


def log(message: str) -> None:
    """Say something on stderr, at once."""
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
