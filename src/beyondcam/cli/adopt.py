"""`beyondcam adopt`."""

from pathlib import Path
from typing import Annotated

import typer

from beyondcam.cli.options import names
from beyondcam.cli.terminal import log

Channels = tuple[float, float, float]


def adopt_command(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder to make.")],
    model: Annotated[
        str,
        typer.Option(
            metavar="KIND:NAME",
            help="timm:NAME, torchvision:NAME, hf:DIR, clip:DIR, or PACKAGE.MODULE:FUNCTION to import.",
        ),
    ],
    weights: Annotated[Path | None, typer.Option(metavar="FILE[:KEY]", help="Its weights.")] = None,
    classes: Annotated[str | None, typer.Option(help="Its classes in their order, by commas.")] = None,
    mean: Annotated[Channels | None, typer.Option(help="Mean of the input, for pixels from 0 to 1.")] = None,
    std: Annotated[Channels | None, typer.Option(help="Standard deviation, likewise.")] = None,
    size: Annotated[int | None, typer.Option(min=1, help="Side of the square input, pixels.")] = None,
    single_label: Annotated[
        bool | None,
        typer.Option(
            "--single-label/--multi-label",
            help="One class an image (softmax), or any number (sigmoid); by default as hf:DIR has it.",
        ),
    ] = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option("--prompt", help="Of a CLIP: a sentence with {} for the class; repeat for more."),
    ] = None,
    data: Annotated[
        str, typer.Option(metavar="D", help="Data that commands on the RUN use by default.")
    ] = "",
) -> None:
    """A network that others trained → RUN."""
    from beyondcam.classifier import adopt_network

    sentences = {"prompts": prompts} if prompts else {}
    classifier = adopt_network(
        run, model, names(classes), weights=weights, mean=mean, std=std,
        size=size, single_label=single_label, data=data, log=log, **sentences,
    )  # fmt: skip
    log(f"{run}: {model}, {len(classifier.classes)} classes, {classifier.size} × {classifier.size} pixels")
