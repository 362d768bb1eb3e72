"""`beyondcam segment` and `beyondcam predict`: segmentation networks."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from beyondcam.cli.options import (
    Classes,
    Data,
    MaxPixels,
    OfTargets,
    Run,
    check_name,
    end,
    open_images_of,
    say_lapsed,
    settings_of,
    truth_of,
)
from beyondcam.cli.terminal import log
from beyondcam.errors import BeyondcamError


def segment_command(
    run: Run,
    recipe: Annotated[str | None, typer.Option(help="Recipe whose seeds to train on.")] = None,
    truth: Annotated[bool, typer.Option("--truth", help="Train on the masks: the upper bound.")] = False,
    threshold: Annotated[
        str,
        typer.Option(
            metavar="VALUE|RULE", help="τ of the seeds: a value, adaptive, blind, few, train or oracle."
        ),
    ] = "adaptive",
    void: Annotated[
        str, typer.Option(metavar="VALUE|blind", help="Do not train on pixels this close to τ, as of `seed`.")
    ] = "0",
    data: Data = None,
    seeds_split: Annotated[
        str | None,
        typer.Option(
            help="Split that is trained on; by default train, or all where the RUN was trained on all of "
            "these data."
        ),
    ] = None,
    eval_split: Annotated[
        str | None,
        typer.Option(help="Split that is predicted and scored; by default val, where it has masks."),
    ] = None,
    classes: Classes = None,
    rounds: Annotated[
        int,
        typer.Option(min=1, help="Train again on what the network predicts, limited to the image's labels."),
    ] = 1,
    name: Annotated[str | None, typer.Option(help="Of the folder in RUN/segment.")] = None,
    targets: OfTargets = None,
    max_pixels: MaxPixels = None,
    **settings: object,
) -> None:
    """Seeds → segmentation network, RUN/segment/NAME, scored against masks where there are any.

    The defaults are those for photos; a RUN of digits has its own.
    """
    from beyondcam.data import is_digits
    from beyondcam.devices import start
    from beyondcam.evidence import find_shelf
    from beyondcam.metrics import read_segments
    from beyondcam.metrics.table import print_segments
    from beyondcam.reviews import open_reviews
    from beyondcam.segment import EvaluationSplit, labels_of_masks, labels_of_seeds, segment_run
    from beyondcam.segmentation import SegmentConfig, digits_segment_config

    if (recipe is None) != truth:
        raise BeyondcamError("write either --recipe NAME or --truth")
    if name is not None:
        check_name(name, "name")
    if truth and rounds > 1:
        raise BeyondcamError("there are rounds of seeds only, not of --truth", parameter="rounds")
    images = open_images_of(run, data, seeds_split, classes, max_pixels, default="train")
    config = settings_of(digits_segment_config if is_digits(images.data) else SegmentConfig, settings)
    if recipe is None:
        source = labels_of_masks(images, truth_of(images, "truth"))
    else:
        source = labels_of_seeds(run, images, find_shelf(run, images, recipe, targets), threshold, void)
        say_lapsed(open_reviews(run, images))
    evaluation = None
    try:
        scored = open_images_of(run, data, eval_split or "val", classes, max_pixels)
        evaluation = EvaluationSplit(scored, truth_of(scored)).checked(images)
    except BeyondcamError as error:
        if eval_split is not None:
            raise
        log(f"not scored: {str(error).removeprefix(f'{error.parameter}: ')}")
    fabric = start()
    left_out = segment_run(run, source, config, evaluation, fabric, rounds=rounds, name=name, log=log)
    if evaluation and fabric.is_global_zero:
        of = (evaluation.images.data, evaluation.images.split)
        print_segments(run, [row for row in read_segments(run) if (row.data, row.split) == of])
    end(left_out)


def predict_command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL", help="RUN/segment/NAME that `beyondcam segment` made.")
    ],
    images: Annotated[
        list[Path] | None, typer.Argument(metavar="IMAGES...", help="Photos, or folders of them.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for masks/, overlays/ and classes.txt.")] = None,
    tta: Annotated[
        Literal["none", "mirror", "scales"] | None,
        typer.Option(
            help="Predict the mean of: the photo, and its mirror image, and both at three scales; "
            "by default as in training."
        ),
    ] = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=32,
            metavar="PIXELS",
            help="For photos far larger than the network sees: show it windows "
            "of this side, which overlap, and blend what it says.",
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Leave out the photos that an earlier call has finished.")
    ] = False,
    onnx: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the network as ONNX.")] = None,
    max_pixels: MaxPixels = None,
) -> None:
    """Photos → masks, overlays and predictions.csv, with a segmentation network."""
    from beyondcam.data import MAX_PIXELS
    from beyondcam.devices import start, to_device
    from beyondcam.segmentation import export_onnx, load_segmenter, predict_photos

    if images and out is None:
        raise BeyondcamError("name a folder for the masks", parameter="out")
    if not images and onnx is None:
        raise BeyondcamError("name photos, or folders of them", parameter="images")
    segmenter = load_segmenter(model)
    if onnx is not None:
        export_onnx(segmenter, onnx)
        log(f"network in {onnx}")
    if images and out is not None:
        fabric = start()
        left_out = predict_photos(
            to_device(segmenter, fabric), images, out, max_pixels or MAX_PIXELS,
            tta=tta, tile=tile, resume=resume,
        )  # fmt: skip
        if (out / "masks").is_dir():
            log(f"masks in {out / 'masks'}, areas of the classes in {out / 'predictions.csv'}")
        end(left_out)
