"""CAM against saliency on real photos, each with its best refinement.

    python benchmarks/voc.py --data voc:$BEYONDCAM_DATA/voc2012_animals --out runs/animals

Trains a classifier unless RUN has one, maps `train` and `val`, chooses each recipe's refinement and τ on
`train`, scores `val` once, and writes the section `voc` of docs/results/voc.md. It can be stopped and
resumed.
"""

import argparse
import json
from pathlib import Path

from beyondcam import ThresholdSplit, load_classifier, map_split, score_split
from beyondcam.classifier import TrainConfig, train_run
from beyondcam.metrics import write_scores
from beyondcam.metrics.text import cell
from beyondcam.studies.finding import Table
from beyondcam.studies.selection import REFINEMENTS, Selection, candidate_recipes
from inputs import fabric, log, on_device, open_scored
from results import shown, table, write_section

CLASSES = ("cat", "cow", "dog", "horse", "person", "sheep")


def main() -> None:
    """Train, map, score and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-part", type=int, default=1, help="map only one N-th of `train`")
    arguments = parser.parse_args()
    run, data = arguments.out, arguments.data

    if not (run / "training.json").exists():
        train_run(TrainConfig(data=data, split="train_aug", classes=CLASSES), run, fabric(), log)
    classifier = on_device(load_classifier(run))
    recipes = candidate_recipes()
    scored = {split: open_scored(data, split, CLASSES) for split in ("val", "train")}
    for split, (images, _) in scored.items():
        log(f"mapping {split}")
        shard = (0, arguments.train_part if split == "train" else 1)
        for image, reason in map_split(classifier, images, recipes, run, shard=shard, workers=1).items():
            log(f"left out: {image}: {reason}")
    train, (val, val_masks) = ThresholdSplit(*scored["train"]), scored["val"]
    on_train = score_split(run, train.images, train.masks)
    write_scores(run, train.images, on_train)
    on_val = score_split(run, val, val_masks, threshold_split=train)
    write_scores(run, val, on_val)
    part = f" --train-part {arguments.train_part}" if arguments.train_part > 1 else ""
    command = f"python benchmarks/voc.py --data {shown(data)} --out {run}{part}"
    body = section(run, Selection.choose(on_train, on_val))
    write_section("voc", "VOC animals: CAM against saliency", command, body)


def section(run: Path, selection: Selection) -> str:
    """The text of the section."""
    training = json.loads((run / "training.json").read_text())
    single = selection.scores.row("cam")
    return (
        f"Classifier mAP on `val`: {training['val_map']:.3f}, trained on {training['images']} images. "
        f"Single-scale CAM, unrefined, oracle τ: mIoU {cell(single)}.\n\n"
        f"{single.images} images of `val`, classes {', '.join(CLASSES)}. Refinement and τ are chosen on "
        f"{selection.train_images} images of `train`, from the same refinements for every map: "
        f"{', '.join(step or 'none' for step in REFINEMENTS)}. The reference CAM is `cam`.\n\n"
        f"{markdown(selection.score_table())}\n\n"
        f"Paired differences to the best CAM, `{selection.chosen[selection.best_cam]}`:\n\n"
        f"{markdown(selection.difference_table())}"
    )


def markdown(recipes: Table) -> str:
    """A table whose rows are recipes, with their names as code."""
    return table(*((f"`{name}`", *cells) for name, *cells in recipes.rows), head=recipes.head)


if __name__ == "__main__":
    main()
