"""The cost of a job of COCO's size, extrapolated from measurements on this machine.

    python benchmarks/scaling.py --run runs/animals --recipe crops+smooth

Times a forward and a backward pass of the RUN's classifier (on a GPU, if there is one), measures the bytes
per pixel of the RUN's evidence, and writes the section `coco` of docs/scaling.md.
"""

import argparse
from pathlib import Path

import torch

import beyondcam as bc
from beyondcam.classifier import read_config
from beyondcam.evidence import shelves
from beyondcam.perturbations import Crops
from inputs import on_device
from results import table, write_section
from timing import seconds_of
from workload import bare_passes, machine, random_batch

IMAGES, TARGETS, PIXELS = 82_783, 2.9, 640 * 480
"""COCO's train2014: images, mean number of classes per image, pixels of the most common size."""


def main() -> None:
    """Measure and extrapolate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--recipe", default="crops+smooth")
    parser.add_argument("--batch", type=int, default=64 if torch.cuda.is_available() else 8)
    arguments = parser.parse_args()
    classifier = on_device(bc.folded(bc.load_classifier(arguments.run)))
    x = random_batch(classifier, arguments.batch)
    forward = seconds_of(bare_passes(classifier, x, backward=False)) / len(x)
    backward = seconds_of(bare_passes(classifier, x)) / len(x) - forward

    config, classes = read_config(arguments.run)
    images = bc.open_images(config.data, "val", classes)
    (shelf,) = (each for each in shelves(arguments.run, images) if each.name == arguments.recipe)
    files = [shelf.path(i) for i in images.ids]
    pixels = sum(shelf.read(i).levels.size for i in images.ids)
    density = sum(path.stat().st_size for path in files) / pixels

    n = Crops().n
    forwards, backwards = IMAGES * (n + 1), IMAGES * n * TARGETS  # one more for the scores
    hours = (forwards * forward + backwards * backward) / 3600
    size = IMAGES * TARGETS * PIXELS * density / 1e9
    rows = (
        ("forward passes", f"{forwards / 1e6:.2f} million, {forward * 1e3:.1f} ms each"),
        ("backward passes", f"{backwards / 1e6:.2f} million, {backward * 1e3:.1f} ms each"),
        *(
            (f"hours on {count} such machine{'s' * (count > 1)}", f"{hours / count:,.1f}")
            for count in (1, 8, 64)
        ),
        ("evidence on disk", f"{size:.1f} GB per recipe, {density:.2f} bytes per pixel and class"),
    )
    body = (
        f"{machine()} `{arguments.recipe}` at {classifier.size} px in float32, for {IMAGES:,} images of "
        f"{PIXELS:,} pixels with {TARGETS} classes each. Hours count the passes alone; bytes per pixel are "
        f"measured on the {len(files)} photos of `val`.\n\n{table(*rows, head=('what', 'how much'))}"
    )
    command = f"python benchmarks/scaling.py --run {arguments.run} --recipe {arguments.recipe}"
    write_section("coco", "A job of COCO's size", command, body, page="scaling")


if __name__ == "__main__":
    main()
