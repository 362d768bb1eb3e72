"""`beyondcam train`."""

from pathlib import Path
from typing import Annotated

import typer

from beyondcam.cli.options import Classes, Negatives, advise, end, names, settings_of


def train_command(
    data: Annotated[
        str,
        typer.Option(
            metavar="D",
            help="A folder of photos, or digits, voc:PATH, coco:IMAGES_DIR:INSTANCES_JSON, folder:PATH or "
            "imagefolder:PATH.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="The RUN folder to make.")],
    classes: Classes = None,
    negatives: Negatives = None,
    **settings: object,
) -> None:
    """Image labels → classifier.

    The defaults are those for photos; `--data digits` has its own.
    """
    from beyondcam.classifier import TrainConfig, digits_config, train_run
    from beyondcam.data import is_digits, with_negatives
    from beyondcam.devices import start

    make = digits_config if is_digits(data) else TrainConfig
    config = settings_of(
        make, {"data": with_negatives(data, negatives), "classes": names(classes), **settings}
    )
    fabric = start()
    end(train_run(config, out, fabric, advise))
