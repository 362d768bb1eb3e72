"""The change in mIoU that bfloat16 makes, at the oracle τ of the float32 maps.

    python benchmarks/precision.py --run runs/animals --split train --images 48

Maps some images of the RUN's data in float32 and in bf16, in a temporary folder, and writes the section
`precision` of docs/performance.md.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

import beyondcam as bc
from beyondcam.classifier import read_config
from beyondcam.data import evenly
from beyondcam.metrics import ImageTally, Sweep
from inputs import on_device, open_scored, tallies
from results import table, write_section
from thresholds import mious

RECIPES = ("cam", "crops+smooth")


def main() -> None:
    """Map in both precisions and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--split", default="train")
    parser.add_argument("--images", type=int, default=48)
    arguments = parser.parse_args()
    config, classes = read_config(arguments.run)
    images, masks = open_scored(config.data, arguments.split, classes)
    images = replace(images, ids=evenly(images.ids, arguments.images))
    cookbook, classifier = bc.Cookbook(), on_device(bc.load_classifier(arguments.run))
    recipes = {name: cookbook.recipe(name) for name in RECIPES}
    precisions: tuple[Literal["float32", "bf16"], ...] = ("float32", "bf16")
    with tempfile.TemporaryDirectory() as folder:
        runs = {precision: Path(folder, precision) for precision in precisions}
        for precision, run in runs.items():
            run.mkdir()
            (run / "classifier.safetensors").symlink_to((arguments.run / "classifier.safetensors").resolve())
            bc.map_split(classifier, images, recipes, run, precision=precision, workers=1)
        rows = []
        for name in RECIPES:
            float32, bf16 = (tallies(run, images, masks, name) for run in runs.values())
            rows.append((f"`{name}`", *compared(float32, bf16, len(classes))))
    head = ("recipe", "mIoU in float32", "in bf16", "change")
    body = f"{len(images.ids)} images of `{arguments.split}`.\n\n{table(*rows, head=head)}"
    words = f"--run {arguments.run} --split {arguments.split} --images {arguments.images}"
    command = f"python benchmarks/precision.py {words}"
    write_section("precision", "bfloat16: the change in mIoU", command, body, page="performance")


def compared(float32: Sequence[ImageTally], bf16: Sequence[ImageTally], classes: int) -> tuple[str, str, str]:
    """Both mIoUs and their difference with its paired interval."""
    level = Sweep.of(float32, classes).best_level()
    samples = [mious(each, level, classes) for each in (float32, bf16)]
    change = samples[1] - samples[0]
    low, high = np.quantile(change[1:], (0.025, 0.975))
    return f"{samples[0][0]:.4f}", f"{samples[1][0]:.4f}", f"{change[0]:+.4f} [{low:+.4f}, {high:+.4f}]"


if __name__ == "__main__":
    main()
