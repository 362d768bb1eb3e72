"""What corrected masks are worth: the least trustworthy photos first, against as many drawn at random.

    python benchmarks/corrections.py --run runs/digits --name digits --seeds-split train_200 \
        --eval-split val_200 --epochs 120

Some photos of the split that is trained on get their true masks, as if somebody had corrected the seeds; the
others keep their seeds. Networks of one schedule are trained on 0, 5, 10, 20 and 40 such masks: of the photos
with the lowest confidence, and of photos drawn at random, several times. Each training has its own seed.
Maps what is missing, and writes the section corrections-NAME of
docs/results/corrections.md. It can be stopped and resumed.
"""

import argparse
import sys
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from beyondcam.classifier import read_config
from beyondcam.data import evenly, is_digits
from beyondcam.data.masks import Masks
from beyondcam.evidence import find_shelf
from beyondcam.files import hash_of
from beyondcam.metrics import counts_of, label_mious, second_opinion, threshold_of
from beyondcam.metrics.text import change, estimated
from beyondcam.perturbations import generator
from beyondcam.seeds import found_in, seed_labels
from beyondcam.segment import EvaluationSplit, LabelSource, labels_of_seeds
from beyondcam.segmentation import SegmentConfig, digits_segment_config
from inputs import open_scored
from results import shown, table, write_section
from segment import map_missing, settled, trained_network

RECIPES = ("best", "fast")
"""The recipe of the seeds, and the one that says by how far it agrees how far they can be trusted."""


def main() -> None:
    """Map, train, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True, help="a RUN with a classifier")
    parser.add_argument("--data", help="by default the RUN's own")
    parser.add_argument("--name", required=True, help="of the data set, for the section")
    parser.add_argument("--seeds-split", required=True)
    parser.add_argument("--eval-split", default="val")
    parser.add_argument("--counts", default="5,10,20,40", help="of corrected masks")
    parser.add_argument("--trainings", type=int, default=3, help="of each point of the curve")
    parser.add_argument("--epochs", type=int, help="of each training; small data need more of them")
    parser.add_argument("--size", type=int, help="side of the networks' input")
    parser.add_argument("--eval-images", type=int, help="how many to score, evenly spread; by default all")
    parser.add_argument("--weight", type=float, default=SegmentConfig().reviewed_weight)
    asked = parser.parse_args()
    config, classes = read_config(asked.run)
    data = asked.data or config.data
    images, masks = open_scored(data, asked.seeds_split, classes)
    scored, truth = open_scored(data, asked.eval_split, classes)
    scored = replace(scored, ids=evenly(scored.ids, asked.eval_images or len(scored.ids)))
    evaluation = EvaluationSplit(scored, truth)
    map_missing(asked.run, images, set(RECIPES))
    seeds = labels_of_seeds(asked.run, images, find_shelf(asked.run, images, RECIPES[0]))
    settings = digits_segment_config() if is_digits(data) else SegmentConfig()
    changes = {"epochs": asked.epochs, "size": asked.size, "reviewed_weight": asked.weight}
    settings = settings.model_copy(update={k: v for k, v in changes.items() if v is not None})
    settings = settled(settings, images)

    worst = worst_first(asked.run, seeds)
    curves: dict[tuple[str, int], NDArray[np.float64]] = {}  # (order, masks) → mIoU: (1 + resamples,)
    for count in (0, *map(int, asked.counts.split(","))):
        for order in ("worst first", "at random") if count else ("worst first",):
            mious = []
            for training in range(asked.trainings):
                rng = generator(training, "corrections")
                drawn = worst if order == "worst first" else [worst[n] for n in rng.permutation(len(worst))]
                source = corrected(seeds, masks, drawn[:count])
                seeded = settings.model_copy(update={"seed": training})
                name = f"{source.name}-{training}"
                row = trained_network(asked.run, source, seeded, evaluation, name)
                mious.append(label_mious([counts_of(asked.run, row)])[0])
            curves[order, count] = np.mean(mious, 0)
    words = " ".join(sys.argv[1:]).replace(data, shown(data))
    write_section(
        f"corrections-{asked.name}", f"Corrected masks: {asked.name}",
        f"python benchmarks/corrections.py {words}",
        body(curves, len(images.ids), len(scored.ids), asked.trainings),
    )  # fmt: skip


def worst_first(run: Path, seeds: LabelSource) -> list[str]:
    """The photos by the confidence of their seeds, the least trustworthy first, as `seed` writes them."""
    shelf = find_shelf(run, seeds.images, RECIPES[0])
    threshold, second = (
        threshold_of(run, seeds.images, shelf, "adaptive"),
        second_opinion(run, seeds.images, shelf),
    )
    if second is None:
        sys.exit(f"{run}: {RECIPES[1]} is not mapped")
    confidence: dict[str, float] = {}
    for i in seeds.images.ids:
        evidence = shelf.read(i)
        found = found_in(seed_labels(evidence, threshold), evidence, (second[0].read(i), second[1]))
        if found:
            confidence[i] = float(np.mean([each.confidence for each in found]))
    return sorted(confidence, key=lambda i: (confidence[i], i))


def corrected(seeds: LabelSource, masks: Masks, chosen: Collection[str]) -> LabelSource:
    """The seeds, but for some photos their true masks."""
    own = frozenset(chosen)
    if not own:
        return seeds
    digest = hash_of(sorted(own))
    facts = {"supervision": f"labels + {len(own)} masks", "masks": digest}
    return replace(
        seeds,
        name=f"{seeds.name}-corrected-{len(own)}-{digest[:4]}",
        labels=lambda i: masks.read(i).numpy() if i in own else seeds.labels(i),
        facts=seeds.facts.model_copy(update=facts),
        reviewed=own,
    )


def body(
    curves: dict[tuple[str, int], NDArray[np.float64]], trained: int, scored: int, trainings: int
) -> str:
    """The curve as a table."""
    counts = sorted({count for _, count in curves})
    start = curves["worst first", 0]
    rows: Sequence[tuple[object, ...]] = [
        (0, estimated(start), estimated(start), "–"),
        *(
            (n, estimated(curves["worst first", n]), estimated(curves["at random", n]),
             change(curves["worst first", n] - curves["at random", n]))
            for n in counts if n
        ),
    ]  # fmt: skip
    head = ("corrected masks", "mIoU, worst first", "mIoU, at random", "difference")
    return (
        f"Networks trained on the seeds (`{RECIPES[0]}`, `adaptive`) of {trained} photos, some of them "
        f"replaced by their true masks, and scored on {scored} others; the mean of {trainings} trainings, "
        "with intervals over the images that are scored.\n\n"
        f"{table(*rows, head=head)}"
    )


if __name__ == "__main__":
    main()
