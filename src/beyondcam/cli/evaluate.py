"""`beyondcam evaluate`."""

from pathlib import Path
from typing import Annotated

import typer

from beyondcam.cli.options import Classes, classes_of_keys, end, names, truth_of
from beyondcam.cli.terminal import log, show


def evaluate_command(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="ID.png or ID.npy of each image.")],
    data: Annotated[str, typer.Option(metavar="D", help="The data whose masks it is scored against.")],
    split: Annotated[str, typer.Option(help="Split of the data.")] = "val",
    classes: Classes = None,
    protocol: Annotated[str, typer.Option(metavar="NAME", help="voc, irn, seam or per-image.")] = "voc",
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Background score of maps, not the protocol's.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="A JSON file for all figures.")] = None,
) -> None:
    """Anyone's masks or maps, scored by a named custom of the field."""
    from dataclasses import asdict

    from beyondcam.data import open_images
    from beyondcam.files import write_json
    from beyondcam.metrics import PROTOCOLS, evaluate, number
    from beyondcam.metrics.text import bounded, caution

    images = open_images(data, split, names(classes))
    masks = truth_of(images, "data")
    found = evaluate(folder, images.ids, masks, protocol, threshold=threshold, known=classes_of_keys(images))
    for name, value in found.iou.items():
        show(f"{name:>20} {number(value)}")
    show(f"{'mIoU':>20} {bounded(found.miou, found.interval)}")
    at = "" if found.threshold is None else f" at background score {found.threshold:g}"
    show(f"protocol {protocol}: {PROTOCOLS[protocol].meaning}; images: {found.images}{at}")
    if warning := caution(found.images):
        log(warning)
    if out is not None:
        write_json(out, asdict(found))
    end(found.left_out)
