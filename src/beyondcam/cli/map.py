"""`beyondcam map` and `beyondcam import`: evidence."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from beyondcam.cli.options import (
    Classes,
    Data,
    MaxPixels,
    Recipes,
    Run,
    Seed,
    Split,
    Targets,
    check_name,
    classes_of_keys,
    end,
    open_images_of,
    say_doubt,
)
from beyondcam.cli.terminal import log
from beyondcam.errors import BeyondcamError, NoRoomError


def map_command(
    run: Run,
    recipe: Annotated[list[str], typer.Option(help="A recipe, NAME or NAME+REFINEMENT; repeat for more.")],
    data: Data = None,
    split: Split = None,
    classes: Classes = None,
    recipes: Recipes = None,
    targets: Annotated[
        Targets,
        typer.Option(
            help="Map the classes of the labels, those that the classifier predicts, or, mixed, the "
            "labels' where a photo has them."
        ),
    ] = "labels",
    seed: Seed = 0,
    batch: Annotated[
        int | None,
        typer.Option(min=1, help="Views in a forward pass: by default 8, on a GPU what is fastest there."),
    ] = None,
    precision: Annotated[
        Literal["float32", "bf16"], typer.Option(help="Of the network's arithmetic.")
    ] = "float32",
    shard: Annotated[
        str | None, typer.Option(metavar="I/N", help="Map only every N-th chunk of images, from the I-th.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0, help="Processes that refine and write; by default as many as make the run shorter."
        ),
    ] = None,
    witnesses: Annotated[
        bool,
        typer.Option(
            help="Also map what the rules adaptive and blind go by, up to 128 images: three passes each."
        ),
    ] = True,
    max_pixels: MaxPixels = None,
) -> None:
    """Evidence for every image and recipe; killed at any moment, it goes on where it stopped."""
    from beyondcam.classifier import load_classifier
    from beyondcam.devices import start, to_device
    from beyondcam.evidence import map_split, map_witnesses
    from beyondcam.recipes import Cookbook

    cookbook = Cookbook(recipes)
    chosen = {name: cookbook.recipe(name) for name in recipe}
    part = shard_of(shard)
    images = open_images_of(run, data, split, classes, max_pixels, default="val")
    say_doubt(run)
    fabric = start("gloo")  # nccl would keep a GPU busy with waiting
    classifier = to_device(load_classifier(run), fabric)
    left_out = map_split(
        classifier, images, chosen, run,
        seed=seed, targets=targets, batch=batch, precision=precision, shard=part, workers=workers, log=log,
    )  # fmt: skip
    if witnesses:
        try:
            left_out |= map_witnesses(
                classifier, images, run,
                targets=targets, batch=batch, precision=precision, shard=part, workers=workers, log=log,
            )  # fmt: skip
        except NoRoomError:
            raise
        except BeyondcamError as error:  # not of every network is there a CAM
            log(f"no witnesses: adaptive has only the maps to go by, and there is no blind ({error})")
    fabric.barrier()  # torchrun ends the others as soon as one exits 1
    end(left_out)


def shard_of(text: str | None) -> tuple[int, int]:
    """The shard (index from 0, count) of `--shard`, or of the process where torchrun started several."""
    from beyondcam.devices import processes

    rank, world = processes()
    if text is None:
        return rank, world
    if world > 1:
        raise BeyondcamError("torchrun shares out the chunks itself; leave it out", parameter="shard")
    index, _, count = text.partition("/")
    if not (index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count)):
        raise BeyondcamError(f"write I/N with 1 ≤ I ≤ N, not {text}", parameter="shard")
    return int(index) - 1, int(count)


def import_command(
    run: Run,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Files ID.npy as IRN writes them.")],
    recipe: Annotated[str, typer.Option(help="The name to give them.")],
    data: Data = None,
    split: Split = None,
    classes: Classes = None,
) -> None:
    """Maps that other code made → evidence, to be scored beside ours."""
    from beyondcam.evidence import import_irn
    from beyondcam.files import write_json
    from beyondcam.recipes import Cookbook

    check_name(recipe, "recipe")
    if recipe.partition("+")[0] in Cookbook().recipes:
        raise BeyondcamError(f"{recipe} is the name of a built-in recipe; give another", parameter="recipe")
    images = open_images_of(run, data, split, classes, default="val")
    left_out = import_irn(run, images, classes_of_keys(images), folder, recipe)
    write_json(run / "left_out" / f"import-{images.split}.json", left_out)
    end(left_out)
