"""`beyondcam masks`: the whole job on somebody's photos."""

from pathlib import Path
from typing import Annotated

import typer

from beyondcam.cli.options import Classes, Negatives, end, names, settings_of
from beyondcam.cli.terminal import log


def masks_command(
    data: Annotated[
        str, typer.Argument(metavar="PHOTOS", help="A folder for each class, or any other data.")
    ],
    out: Annotated[Path, typer.Option(help="The folder to make.")],
    classes: Classes = None,
    negatives: Negatives = None,
    best: Annotated[
        bool,
        typer.Option(
            "--best/--fast", help="Better masks, each with a confidence, in ten times the time for maps."
        ),
    ] = False,
    network: Annotated[
        bool,
        typer.Option("--network", help="Also train a segmentation network on the masks, and write its own."),
    ] = False,
    **settings: object,
) -> None:
    """Photos with labels → masks: train, map, cut, and a page that shows them. Run again, it goes on."""
    from beyondcam.classifier import TrainConfig
    from beyondcam.data import recognised, with_negatives
    from beyondcam.devices import keep_memory, open_fabric
    from beyondcam.job import make_masks
    from beyondcam.segmentation import SegmentConfig

    whole = "train" if "{split}" in recognised(data) else "all"  # COCO's own files are one for each split
    chosen = {
        "data": with_negatives(data, negatives),
        "classes": names(classes),
        "split": settings["split"] or whole,
    }
    config = settings_of(TrainConfig, {**settings, **chosen})
    fabric = open_fabric()
    keep_memory(fabric.device)
    segment = SegmentConfig(
        seed=config.seed, pretrained=config.pretrained, size=max(32, min(256, config.size // 32 * 32))
    )
    end(make_masks(config, out, fabric, log, best=best, network=segment if network else None))
