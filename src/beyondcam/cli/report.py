"""`beyondcam report` and `beyondcam explain`: results to look at."""

from pathlib import Path
from typing import Annotated

import typer

from beyondcam.cli.options import MaxPixels, Recipes, Run, Seed
from beyondcam.cli.terminal import show
from beyondcam.errors import BeyondcamError


def report_command(run: Run) -> None:
    """One page about a RUN: RUN/report/index.html."""
    from beyondcam.report import write_report

    show(str(write_report(run)))


def explain_command(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The photo.")],
    model: Annotated[Path | None, typer.Option(metavar="RUN", help="Its classifier and classes.")] = None,
    out: Annotated[Path, typer.Option(help="The picture to write.")] = Path("explain.png"),
    top: Annotated[int, typer.Option(min=1, help="How many classes.")] = 3,
    recipe: Annotated[list[str] | None, typer.Option(help="Recipes to show; repeat for more.")] = None,
    recipes: Recipes = None,
    seed: Seed = 0,
    batch: Annotated[int, typer.Option(min=1, help="Views in a forward pass.")] = 8,
    max_pixels: MaxPixels = None,
) -> None:
    """Maps of one photo, as one picture: by default of an ImageNet classifier's top classes."""
    from beyondcam.classifier import folded, imagenet_classifier, load_classifier
    from beyondcam.data import MAX_PIXELS, read_photo
    from beyondcam.devices import start, to_device
    from beyondcam.recipes import Cookbook
    from beyondcam.report import explain_photo

    if out.suffix.lower() != ".png":
        raise BeyondcamError(f"{out} is to be a PNG; name it so", parameter="out")
    if out.exists() and image.exists() and out.samefile(image):
        raise BeyondcamError(f"{out} is the photo, which would be overwritten; name another", parameter="out")
    cookbook = Cookbook(recipes)
    chosen = {name: cookbook.recipe(name) for name in recipe or ("cam", "saliency+smooth", "crops+smooth")}
    photo = read_photo(image, max_pixels=max_pixels or MAX_PIXELS)
    fabric = start()
    classifier = load_classifier(model) if model else imagenet_classifier()
    classifier = to_device(folded(classifier), fabric)
    classes = explain_photo(
        classifier, photo, chosen, out, image_id=image.stem, top=top, seed=seed, batch=batch
    )
    for name, probability in classes:
        show(f"{name}: {probability:.3f}")
    show(str(out))
