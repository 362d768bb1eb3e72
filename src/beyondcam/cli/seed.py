"""`beyondcam seed`."""

from pathlib import Path
from typing import Annotated

import typer

from beyondcam.cli.options import (
    Classes,
    Data,
    MaxPixels,
    OfTargets,
    Recipe,
    Run,
    Split,
    classes_of_keys,
    end,
    open_images_of,
    say_doubt,
)
from beyondcam.cli.terminal import log
from beyondcam.errors import BeyondcamError


def seed_command(
    run: Run,
    out: Annotated[Path, typer.Option(help="Folder for masks/, overlays/ and classes.txt.")],
    recipe: Recipe = None,
    threshold: Annotated[
        str,
        typer.Option(
            metavar="VALUE|RULE",
            help="τ in [0, 1]; adaptive, one for each image and class from its evidence; blind, one from "
            "what witnesses agree on; few:ID,ID, the best on the masks of these images; or few, train or "
            "oracle as `score` found them.",
        ),
    ] = "adaptive",
    void: Annotated[
        str,
        typer.Option(
            metavar="VALUE|blind",
            help="Leave pixels void whose evidence is this close to τ, both as square roots; blind: as close "
            "as the witnesses disagree.",
        ),
    ] = "0",
    coco: Annotated[bool, typer.Option("--coco", help="Also OUT/instances.json, in COCO's format.")] = False,
    npy: Annotated[bool, typer.Option("--npy", help="Also OUT/npy, the evidence in IRN's format.")] = False,
    data: Data = None,
    split: Split = None,
    classes: Classes = None,
    targets: OfTargets = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Evidence and a threshold → label PNGs (VOC palette) and overlays."""
    from beyondcam.data.masks import open_masks
    from beyondcam.evidence import find_shelf, first_recipe
    from beyondcam.files import write_json
    from beyondcam.metrics import band_of, second_opinion, threshold_of
    from beyondcam.reviews import open_reviews
    from beyondcam.seeds import write_coco, write_npy, write_seeds

    images = open_images_of(run, data, split, classes, max_pixels, default="val")
    say_doubt(run)
    shelf = find_shelf(run, images, recipe or first_recipe(run, images), targets)
    masks = None
    try:
        masks = open_masks(images.data, images.split, images.classes)
    except BeyondcamError as error:
        log(f"the seeds are not compared with masks: {error}")
    tau = threshold_of(run, images, shelf, threshold, masks)
    band = band_of(run, images, shelf, void, tau)
    second = second_opinion(run, images, shelf)
    reviews = open_reviews(run, images)
    written = write_seeds(
        images, shelf, tau, out, band=band, second=second, reviews=reviews, masks=masks, log=log
    )
    if coco:
        write_coco(images, written.left_out, out)
    if npy:
        write_npy(images, classes_of_keys(images), shelf, written.left_out, out)
    for flag, asked, file in (("--coco", coco, out / "instances.json"), ("--npy", npy, out / "npy")):
        if not asked and file.exists():
            log(f"{file} is of an earlier call, not of these seeds; {flag} makes it anew")
    write_json(run / "left_out" / f"seed-{images.split}.json", written.left_out)
    log(f"{len(images.ids) - len(written.left_out)} seeds in {out}, τ {tau}, {written.void:.1%} void")
    if not written.shown:
        log("no seed shows anything but background; is τ too high, or has the classifier found nothing?")
    if written.right is not None:
        log(f"{written.right:.1%} of the rest right, background included, by {written.judged} masks")
    if second is None:
        log("no confidence: it is how far two recipes agree; map fast too (best, where fast is the recipe)")
    elif written.expected is not None:
        log(
            f"expected mean IoU of the classes {written.expected:.2f}, by how far {second[0].name} agrees; "
            f"least trustworthy: {', '.join(written.worst[:5])} ({out / f'confidence-{images.split}.csv'})"
        )
    _say_small(run, written.areas)
    if empty := written.empty_seeds(images):
        log(empty)
    end(written.left_out)


def _say_small(run: Path, areas: dict[str, float]) -> None:
    """Say which classes are found smaller than a place of the class activations."""
    from beyondcam.classifier.load import recorded

    places = recorded(run, "places")
    if not isinstance(places, int) or places < 1:  # a network of others
        return
    place = 1 / places**2
    if small := [f"{name} {area:.2%}" for name, area in areas.items() if area < place]:
        log(
            f"small for this classifier: {', '.join(small)} of the photo, where one of its class activations "
            f"takes {place:.2%}; `beyondcam train` with a larger --size or smaller --output-stride sees more"
        )
