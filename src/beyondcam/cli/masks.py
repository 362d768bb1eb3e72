"""`beyondcam masks`: the whole job on somebody's photos."""

from pathlib import Path
from typing import Annotated

import typer

from beyondcam.cli.options import Classes, Negatives, advise, end, names, settings_of


def masks_command(
    data: Annotated[
        str, typer.Argument(metavar="PHOTOS", help="A folder for each class, or any other data.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    classes: Classes = None,
    negatives: Negatives = None,
    best: Annotated[
        bool | None,
        typer.Option(
            "--best/--fast",
            help="By the recipe best: each mask has a confidence, and maps take ten times as long. "
            "By default --fast, unless an earlier call has mapped with --best.",
        ),
    ] = None,
    network: Annotated[
        bool,
        typer.Option("--network", help="Also train a segmentation network on the masks, and write its own."),
    ] = False,
    split: Annotated[
        str | None,
        typer.Option(help="Split of the data; by default all of it, or train where each has its own files."),
    ] = None,
    **settings: object,
) -> None:
    """Photos with labels → masks: train, map, cut, and a page that shows them. Run again, it goes on."""
    from beyondcam.classifier import TrainConfig
    from beyondcam.data import with_negatives
    from beyondcam.devices import start
    from beyondcam.job import make_masks

    chosen = {"data": with_negatives(data, negatives), "classes": names(classes), "split": split}
    given = settings_of(TrainConfig, {**settings, **chosen})
    fabric = start()
    end(make_masks(given, out, fabric, advise, best=best, network=network))
