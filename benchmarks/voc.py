"""The comparison that counts, on real photos: CAM against saliency, each with its own best refinement.

    python benchmarks/voc.py --data voc:$BEYONDCAM_DATA/voc2012_animals --out runs/animals

Trains (unless RUN has a classifier), maps `train` and `val`, chooses each recipe's refinement and τ on
`train`, scores `val` once, and writes the section `voc` of docs/results.md. Every step can be resumed.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from beyondcam import Cookbook, Training, load_classifier, map_split, score_split
from beyondcam.classifier import TrainConfig, train_run
from beyondcam.devices import to_device
from beyondcam.metrics import METRICS, Scores, write_scores
from beyondcam.studies.bench import difference
from beyondcam.studies.finding import cell, signed
from inputs import open_scored
from results import shown, table, write_section

CLASSES = ("cat", "cow", "dog", "horse", "person", "sheep")
CAMS = ("cam", "cam-ms", "crops-cam", "crops-cam-normalised")
MAPS = (*CAMS, "saliency", "crops-raw", "crops", "crops-mean")
MENU = ("", "+smooth", "+blur", "+superpixels", "+smooth+superpixels", "+blur+superpixels")

Row = dict[str, Any]


def main() -> None:
    """Run it all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--train-part", type=int, default=1, help="map one N-th of `train` only")
    arguments = parser.parse_args()
    run, data = arguments.out, arguments.data

    if not (run / "training.json").exists():
        train_run(TrainConfig(data=data, split="train_aug", classes=CLASSES), run, log)
    classifier = to_device(load_classifier(run))
    cookbook = Cookbook()
    recipes = {base + step: cookbook.recipe(base + step) for base in MAPS for step in MENU}
    scored = {split: open_scored(data, split, CLASSES) for split in ("val", "train")}
    for split, (images, _) in scored.items():
        log(f"mapping {split}")
        shard = (1, arguments.train_part if split == "train" else 1)
        for image, reason in map_split(classifier, images, recipes, run, shard=shard, workers=1).items():
            log(f"left out: {image}: {reason}")
    training, (val, val_masks) = Training(*scored["train"]), scored["val"]
    on_train = score_split(run, training.images, training.masks)
    write_scores(run, training.images, on_train)
    chosen = {base: best_refinement(base, on_train.rows) for base in MAPS}
    on_val = score_split(run, val, val_masks, training=training)
    write_scores(run, val, on_val)
    part = f" --train-part {arguments.train_part}" if arguments.train_part > 1 else ""
    command = f"python benchmarks/voc.py --data {shown(data)} --out {run}{part}"
    body = section(run, chosen, on_val, on_train.rows[0]["images"])
    write_section("voc", "VOC animals: CAM against saliency", command, body)


def log(message: str) -> None:
    """Say something on stderr, at once."""
    print(message, file=sys.stderr, flush=True)


def best_refinement(base: str, rows: list[Row]) -> str:
    """The name of the refined recipe with the highest mIoU on the training split."""
    own = [row for row in rows if row["recipe"] in {base + step for step in MENU}]
    return str(max(own, key=lambda row: row["miou"])["recipe"])


def section(run: Path, chosen: dict[str, str], scores: Scores, train_images: int) -> str:
    """The text of the section."""
    by_name = {(row["recipe"], row["threshold_rule"]): row for row in scores.rows}
    ours = [by_name[name, "train"] for name in chosen.values()]
    best_cam = max((by_name[chosen[base], "train"] for base in CAMS), key=lambda row: row["miou"])
    training = json.loads((run / "training.json").read_text())
    single = by_name["cam", "oracle"]
    best = best_cam["recipe"]
    compared = ("miou", "ndr_recall", "fg_precision")
    rivals = [name for base, name in chosen.items() if base not in CAMS]
    by_recipe = table(
        *(cells(row) for row in sorted(ours, key=lambda row: -row["miou"])),
        head=("recipe", "τ", "mIoU", "DR-Recall", "NDR-Recall", "FG-Precision", "passes", "megapixels"),
    )
    differences = table(
        *(
            (f"`{name}`", *(signed(difference(scores, name, best, metric, "train")) for metric in compared))
            for name in rivals
        ),
        head=("recipe", "mIoU", "NDR-Recall", "FG-Precision"),
    )
    return (
        f"Classifier mAP on `val`: {training['val_map']:.3f}, trained on {training['images']} images. "
        f"Single-scale CAM, unrefined, oracle τ: mIoU {cell(single)}.\n\n"
        f"{ours[0]['images']} images of `val`, classes {', '.join(CLASSES)}. Refinement and τ are chosen on "
        f"{train_images} images of `train`, from one menu for all rows: "
        f"{', '.join(step or 'none' for step in MENU)}. The reference CAM is `cam`.\n\n{by_recipe}\n\n"
        f"Paired differences to the best CAM row, `{best}`:\n\n{differences}"
    )


def cells(row: Row) -> tuple[str, ...]:
    """A row of the first table."""
    cost = row["cost"]
    return (
        f"`{row['recipe']}`",
        f"{row['threshold']:.3f}",
        *(cell(row, metric) for metric in METRICS),
        f"{cost['forward']:.0f} + {cost['backward']:.0f}",
        f"{cost['megapixels']:.1f}",
    )


if __name__ == "__main__":
    main()
