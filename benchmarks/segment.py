"""The mIoU of segmentation networks that are trained on each recipe's seeds.

    python benchmarks/segment.py --data voc:$BEYONDCAM_DATA/voc2012_animals --out runs/animals \
        --name animals --row cam --row cam-ms --row best --row best:0.1 --several best --several truth

RUN must have a classifier (`benchmarks/voc.py` or `beyondcam train` makes it). A row is
RECIPE:THRESHOLD:VOID, as `beyondcam segment` takes them; RECIPE alone means RECIPE:adaptive:0. Maps what is
missing, trains a network on each row's seeds and on the truth, all with the same schedule, scores them on
`val`, and writes the section `segment-NAME` of docs/results/segment.md. It can be stopped and resumed.
"""

import argparse
import sys
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam import Cookbook, load_classifier, map_split, score_split
from beyondcam.classifier import read_config
from beyondcam.data import LabelledImages
from beyondcam.data.masks import Masks
from beyondcam.evidence import find_shelf, map_witnesses
from beyondcam.metrics import (
    REFERENCE,
    NetworkRow,
    Row,
    TrainedOn,
    counts_of,
    label_mious,
    number,
    read_segments,
    threshold_of,
)
from beyondcam.metrics.text import bounded, cell, change, estimated
from beyondcam.segment import EvaluationSplit, LabelSource, labels_of_masks, labels_of_seeds, segment_run
from beyondcam.segmentation import SegmentConfig
from inputs import fabric, log, on_device, open_scored
from results import seen, shown, table, write_section

SECOND = "-round2"  # ends the names of networks that `segment_run` trains in a second round

SEED_METRICS = {"miou": "seed mIoU", "ndr_recall": "NDR-Recall", "fg_precision": "FG-Precision"}

Samples = NDArray[np.float64]


@dataclass
class TableRow:
    """Networks that were trained on the same labels, one per training seed."""

    name: str
    seeds: Row | None  # scores of the seeds on the images trained on; None for the truth
    facts: TrainedOn
    networks: list[str]  # names

    @property
    def threshold(self) -> str:
        """The rule for the seeds' τ, and what it chose."""
        facts = self.facts
        chosen = number(facts.threshold) if facts.fall is None else f"fall {facts.fall}"
        return f"`{facts.threshold_rule}`, {chosen}" if facts.threshold_rule else "–"


def main() -> None:
    """Map, train, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", required=True, help="of the data set, for the section")
    parser.add_argument("--row", action="append", required=True, help="RECIPE[:THRESHOLD[:VOID]]")
    parser.add_argument(
        "--several", action="append", default=[], help="row (or truth) to train more than once"
    )
    parser.add_argument("--against", default=REFERENCE, help="the row that the others are compared with")
    parser.add_argument(
        "--second", action="append", default=[], help="row whose first network is trained for a second round"
    )
    parser.add_argument("--training-seeds", type=int, default=3, help="trainings of a row of --several")
    parser.add_argument("--seeds-split", default="train_aug")
    parser.add_argument("--schedule", default="", help="numbers of epochs to compare, such as 6,12,24")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--size", type=int, default=SegmentConfig().size)
    arguments = parser.parse_args()
    run, data = arguments.out, arguments.data
    _, classes = read_config(run)
    images, masks = open_scored(data, arguments.seeds_split, classes)
    config = settled(SegmentConfig(epochs=arguments.epochs, size=arguments.size), images)
    evaluation = EvaluationSplit(*open_scored(data, "val", classes))
    train = open_scored(data, "train", classes)

    requested = {name: name.split(":") for name in arguments.row}
    map_missing(run, images, {REFERENCE, *(recipe for recipe, *_ in requested.values())})
    rows = []
    for name, (recipe, *rules) in requested.items():
        source = labels_of_seeds(run, images, find_shelf(run, images, recipe), *rules)
        rows.append(TableRow(name, seed_scores(run, source, masks), source.facts, []))
        train_networks(run, source, config, evaluation, rows[-1], arguments)
        if name in arguments.second:
            second = [f"{rows[-1].networks[0]}{SECOND}"]
            rows.append(replace(rows[-1], name=f"{name}, round 2", networks=second))
    source = labels_of_masks(images, masks)
    truth = TableRow("truth", None, source.facts, [])
    train_networks(run, source, config, evaluation, truth, arguments)
    body = section(run, [*rows, truth], arguments.against, config, images, evaluation)
    if arguments.schedule:
        body += schedules(run, images, masks, train, config, map(int, arguments.schedule.split(",")))
    words = " ".join(sys.argv[1:]).replace(data, shown(data))
    title = f"Networks trained on the seeds: {arguments.name}"
    write_section(f"segment-{arguments.name}", title, f"python benchmarks/segment.py {words}", body)


def settled(config: SegmentConfig, images: LabelledImages) -> SegmentConfig:
    """The settings with the epochs of all these images, so that networks on fewer of them train as long."""
    return config.model_copy(update={"epochs": config.epochs_for(len(images.ids))})


def map_missing(run: Path, images: LabelledImages, names: set[str]) -> None:
    """Map recipes for which there is no evidence yet."""
    cookbook = Cookbook()
    recipes = {name: cookbook.recipe(name) for name in sorted(names)}
    classifier = on_device(load_classifier(run))
    left_out = map_split(classifier, images, recipes, run, workers=None)
    left_out |= map_witnesses(classifier, images, run, workers=None)
    for image, reason in left_out.items():
        log(f"left out: {image}: {reason}")


def seed_scores(run: Path, source: LabelSource, masks: Masks) -> Row:
    """The scores of the seeds against the masks of the images trained on; the masks are for scoring only."""
    names = str(source.facts.recipe), REFERENCE
    shelf, reference = (find_shelf(run, source.images, name) for name in names)
    among = [reference] if shelf.name == REFERENCE else [reference, shelf]
    if source.facts.threshold is None:
        return score_split(run, source.images, masks, among=among).row(shelf.name, "adaptive")
    blind = threshold_of(run, source.images, reference, "blind").value
    threshold = source.facts.threshold
    scores = score_split(
        run, source.images, masks, threshold=threshold, reference_threshold=blind, among=among
    )
    return scores.row(shelf.name, "fixed")


def train_networks(
    run: Path, source: LabelSource, config: SegmentConfig, evaluation: EvaluationSplit,
    row: TableRow, arguments: argparse.Namespace,
) -> None:  # fmt: skip
    """Train the networks of a row."""
    times = arguments.training_seeds if row.name in arguments.several else 1
    for seed in range(times):
        name = f"{source.name}-{seed}"
        rounds = 2 if seed == 0 and row.name in arguments.second else 1
        seeded = config.model_copy(update={"seed": seed})
        trained_network(run, source, seeded, evaluation, name, rounds)
        row.networks.append(name)


def trained_network(
    run: Path, source: LabelSource, config: SegmentConfig, evaluation: EvaluationSplit,
    name: str, rounds: int = 1,
) -> NetworkRow:  # fmt: skip
    """The row of a network's last round; the network is trained and scored if it has no such row yet."""
    facts = {
        **source.facts.to_json(),
        "config": config.model_dump(mode="json"),
        "name": name if rounds == 1 else f"{name}{SECOND}",
        "data": evaluation.images.data,
        "split": evaluation.images.split,
    }

    def stored() -> list[NetworkRow]:
        return [row for row in read_segments(run) if facts.items() <= row.to_json().items()]

    if not stored():
        log(f"network {name}")
        left_out = segment_run(run, source, config, evaluation, fabric(), rounds=rounds, name=name, log=log)
        for image, reason in left_out.items():
            log(f"left out: {image}: {reason}")
    return stored()[0]


def schedules(
    run: Path, images: LabelledImages, masks: Masks, train: tuple[LabelledImages, Masks],
    config: SegmentConfig, lengths: Iterable[int],
) -> str:  # fmt: skip
    """Train networks on the truth outside `train` for some numbers of epochs, and score them on `train`."""
    held_out, folder = set(train[0].ids), run / "schedule"
    outside = replace(images, ids=tuple(i for i in images.ids if i not in held_out))
    source, evaluation = labels_of_masks(outside, masks), EvaluationSplit(*train)
    rows = [
        trained_network(
            folder, source, config.model_copy(update={"epochs": epochs}), evaluation, f"truth-{epochs}-epochs"
        )
        for epochs in lengths
    ]
    mious = label_mious([counts_of(folder, row) for row in rows])
    changes = ["–", *(change(longer - shorter) for shorter, longer in pairwise(mious))]
    cells = (
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
        + table(*cells, head=("epochs", "steps", "mIoU on `train`", "minus the row above"))
    )


def over_seeds(samples: Samples) -> Samples:
    """The mean over networks (networks, samples); every resample draws as many networks with replacement."""
    networks, count = samples.shape
    drawn = np.random.default_rng(0).integers(networks, size=(networks, count))
    drawn[:, 0] = np.arange(networks)
    return np.take_along_axis(samples, drawn, 0).mean(0)


def section(
    run: Path, rows: list[TableRow], against: str, config: SegmentConfig, images: LabelledImages,
    evaluation: EvaluationSplit,
) -> str:  # fmt: skip
    """The text of the section."""
    stored = {row.name: row for row in read_segments(run) if row.split == evaluation.images.split}
    names = [name for row in rows for name in row.networks]
    samples = dict(zip(names, label_mious([counts_of(run, stored[name]) for name in names]), strict=True))
    final = {row.name: over_seeds(np.stack([samples[name] for name in row.networks])) for row in rows}
    truth = final[rows[-1].name]
    by_row = table(
        *(
            (
                f"`{row.name}`",
                estimated(final[row.name]),
                estimated(final[row.name] / truth),
                "–" if row.name == against else change(final[row.name] - final[against]),
                *(cell(row.seeds, metric) if row.seeds else "–" for metric in SEED_METRICS),
                row.threshold,
                number(row.facts.void),
                len(row.networks),
            )
            for row in rows
        ),
        head=("trained on", "final mIoU", "share of truth's", f"minus `{against}`",
              *SEED_METRICS.values(), "τ", "void", "networks"),
    )  # fmt: skip
    ledgers = {row.name: stored[row.networks[0]].ledger for row in rows}
    firsts = {row.name: stored[row.networks[0]].iou for row in rows}
    labels = firsts[rows[-1].name]
    by_class = [(label, *(number(iou[label]) for iou in firsts.values())) for label in labels]
    head = ("class", *(f"`{name}`" for name in firsts))
    over = " and training seeds" if len(names) > len(rows) else ", of one network a row"
    text = (
        f"{config.architecture} over {config.encoder} at {config.size} px, {config.epochs} epochs of "
        f"{len(images.ids) // config.batch} steps over {len(images.ids)} images of `{images.split}`, scored "
        f"on {stored[names[0]].images} of `{evaluation.images.split}`. Intervals are over images{over}; "
        "differences are paired. Seeds are scored on the images trained on, including pixels left void.\n\n"
        f"{by_row}\n\n{seen(ledgers)}\n\n"
        f"IoU by class, of the first network of a row:\n\n{table(*by_class, head=head)}"
    )
    seconds = [row for row in rows if row.networks[0].endswith(SECOND)]
    for row in seconds:
        network = row.networks[0].removesuffix(SECOND)
        changed = change(final[row.name] - samples[network])
        text += f"\n\nThe second round of `{network}` changes its mIoU by {changed}, over images."
    return text


if __name__ == "__main__":
    main()
