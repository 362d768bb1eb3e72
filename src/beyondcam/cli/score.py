"""`beyondcam score`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from beyondcam.cli.options import Classes, Data, Run, Split, end, names, open_images_of, truth_of
from beyondcam.cli.terminal import log
from beyondcam.errors import BeyondcamError

if TYPE_CHECKING:
    from beyondcam.data import LabelledImages
    from beyondcam.metrics import ThresholdSplit


def score_command(
    run: Run,
    data: Data = None,
    split: Split = None,
    classes: Classes = None,
    train_split: Annotated[
        str, typer.Option(help="Split whose masks choose τ for the rule train.")
    ] = "train",
    threshold: Annotated[float | None, typer.Option(min=0, max=1, help="τ for the rule fixed.")] = None,
    reference_threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="The reference CAM's τ for the rule fixed.")
    ] = None,
    few: Annotated[
        str | None, typer.Option(metavar="ID,ID", help="Images of the training split for the rule few.")
    ] = None,
    absent: Annotated[
        Literal["auto", "drop", "zero"],
        typer.Option(help="A class absent from the truth: 0 if predicted, left out, or 0 always."),
    ] = "auto",
) -> None:
    """Evidence against masks → RUN/scores.json and a table."""
    from beyondcam.files import write_json
    from beyondcam.metrics import score_split, write_scores
    from beyondcam.metrics.table import print_classes, print_supervision, print_table
    from beyondcam.metrics.text import caution

    if reference_threshold is not None and threshold is None:
        raise BeyondcamError(
            "is of the rule fixed, which needs --threshold too", parameter="reference_threshold"
        )
    images = open_images_of(run, data, split, classes, default="val")
    masks = truth_of(images)
    threshold_split = _open_threshold_split(run, data, train_split, classes, images, names(few) or ())
    if few and threshold_split is None:
        raise BeyondcamError(
            f"needs a --train-split with masks, apart from --split {images.split}", parameter="few"
        )
    scores = score_split(
        run, images, masks,
        threshold_split=threshold_split, threshold=threshold, reference_threshold=reference_threshold,
        absent=absent,
    )  # fmt: skip
    if not any(row.threshold_rule == "blind" for row in scores.rows):
        log(
            f"no rule blind, and adaptive as by default: no witnesses of --split {images.split} agree on "
            "anything; `beyondcam map` maps them"
        )
    write_scores(run, images, scores)
    write_json(run / "left_out" / f"score-{images.split}.json", scores.left_out)
    print_table(scores.rows)
    if warning := caution(min(row.images for row in scores.rows)):
        log(warning)
    print_classes(scores.rows)
    print_supervision(scores.rows)
    end(scores.left_out)


def _open_threshold_split(
    run: Path,
    data: str | None,
    split: str,
    classes: str | None,
    scored: "LabelledImages",
    few: tuple[str, ...],
) -> "ThresholdSplit | None":
    """What the rules train and few choose τ on; None, and the reason shown, where there is no such thing."""
    from beyondcam.metrics import ThresholdSplit

    try:
        images = open_images_of(run, data, split, classes)
        masks = truth_of(images)
    except BeyondcamError as error:
        log(f"no rule train: {error}")
        return None
    if scored.shared(images):
        log(f"no rule train: --split {scored.split} shares images with --train-split {split}")
        return None
    return ThresholdSplit(images, masks, few)
