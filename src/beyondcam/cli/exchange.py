"""`beyondcam export` and `beyondcam import-masks`: masks out to other programs, and back."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal

import typer

from beyondcam.cli.options import (
    Classes,
    Data,
    MaxPixels,
    OfTargets,
    Recipe,
    Run,
    TrainedSplit,
    Who,
    end,
    name_of_user,
    names,
    open_images_of,
    open_seeds_of,
)
from beyondcam.cli.terminal import log

Threshold = Annotated[
    str,
    typer.Option(metavar="VALUE|RULE", help="τ of masks that nobody accepted, as of `seed` (not few:ID,ID)."),
]
FormatName = Literal["coco", "voc", "yolo-seg", "label-studio", "cvat", "png"]


def export_command(
    run: Run,
    to: Annotated[FormatName, typer.Option(help="The format.")],
    out: Annotated[Path, typer.Option(help="A new folder.")],
    states: Annotated[
        str,
        typer.Option(
            help="Only photos of these states, separated by commas; open: nobody has decided about them."
        ),
    ] = "accepted,corrected,skipped,open",
    recipe: Recipe = None,
    threshold: Threshold = "adaptive",
    data: Data = None,
    split: TrainedSplit = None,
    classes: Classes = None,
    targets: OfTargets = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Masks → COCO, VOC, YOLO, Label Studio, CVAT or PNG; accepted and corrected ones as they are."""
    from beyondcam.exchange import export_masks

    images = open_images_of(run, data, split, classes, max_pixels)
    shelf, tau, reviews = open_seeds_of(run, images, recipe, targets, threshold)
    exported = export_masks(images, shelf, tau, reviews, to, out, names(states) or ())
    by_state = ", ".join(f"{n} {state}" for state, n in Counter(exported.results.values()).items()) or "none"
    log(f"{len(exported.results)} masks in {out}: {by_state}; {out / 'masks.csv'} says which")
    end(exported.left_out)


def import_masks_command(
    run: Run,
    path: Annotated[Path, typer.Argument(metavar="FILE", help="The file, or the folder that has it.")],
    form: Annotated[FormatName, typer.Option("--from", help="Its format.")],
    empty: Annotated[
        bool, typer.Option("--empty", help="Photos on which it shows nothing are background.")
    ] = False,
    data: Data = None,
    split: TrainedSplit = None,
    classes: Classes = None,
    who: Who = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Masks that were drawn or mended elsewhere → corrected masks of the RUN, which `seed` keeps.

    Those that come back as `export`, `seed` or `masks` wrote them are no corrections: to accept masks as
    they are, use `review`.
    """
    from beyondcam.exchange import import_masks
    from beyondcam.reviews import open_reviews

    images = open_images_of(run, data, split, classes, max_pixels)
    reviews = open_reviews(run, images)
    if not reviews.sent.known:
        log(f"no masks of {run} were written before: all that the file has count as corrected")
    imported = import_masks(images, reviews, form, path, name_of_user(who), empty=empty)
    count = Counter(imported.results.values())
    log(
        f"{count['corrected']} corrected masks in {reviews.folder}; {count['unchanged']} unchanged ones, and "
        f"{count['empty']} photos without a shape, stay as they are"
    )
    end(imported.left_out)
