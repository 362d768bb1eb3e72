"""`beyondcam review`: a page to go through the masks."""

from typing import TYPE_CHECKING, Annotated

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
    advise,
    name_of_user,
    open_images_of,
    open_seeds_of,
)
from beyondcam.cli.terminal import log, show
from beyondcam.errors import BeyondcamError

if TYPE_CHECKING:
    from beyondcam.review_page import Desk


def review_command(
    run: Run,
    recipe: Recipe = None,
    threshold: Annotated[
        str,
        typer.Option(metavar="VALUE|RULE", help="The τ that is suggested, as of `seed` (but not few:ID,ID)."),
    ] = "adaptive",
    data: Data = None,
    split: TrainedSplit = None,
    classes: Classes = None,
    targets: OfTargets = None,
    who: Who = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 takes any free one.")] = 0,
    max_pixels: MaxPixels = None,
) -> None:
    """A page on this machine to go through the masks, the least trustworthy first.

    Move the threshold of each class, accept, reject or skip; every decision is kept in RUN/reviews.
    """
    try:
        from beyondcam.review_page import Desk, open_server, worst_first
    except ModuleNotFoundError as error:
        if error.name not in ("starlette", "uvicorn"):
            raise
        raise BeyondcamError("review needs an extra: pip install 'beyondcam[review]'") from None
    from beyondcam.metrics import second_opinion

    images = open_images_of(run, data, split, classes, max_pixels)
    shelf, tau, reviews = open_seeds_of(run, images, recipe, targets, threshold)
    second = second_opinion(run, images, shelf)
    outcome = worst_first(images, shelf, tau, second)
    desk = Desk(images, shelf, tau, reviews, name_of_user(who), outcome.results)
    _say(desk, "the classifier is" if second is None else f"{second[0].name} and the classifier are")
    for image_id, reason in outcome.left_out.items():
        advise(f"left out: {image_id}: {reason}")
    if not desk.order:
        raise BeyondcamError(
            f"{shelf.folder}: has evidence of none of these photos; `beyondcam map` makes it"
        )
    server, listener, address = open_server(desk, port)
    show(address)
    server.run(sockets=[listener])


def _say(desk: "Desk", witness: str) -> None:
    left = desk.news()["states"].count("-")
    log(
        f"{left} of {len(desk.order)} masks of {desk.shelf.name} to decide, first those of which {witness} "
        f"least sure; decisions by {desk.who} go to {desk.reviews.folder}; Ctrl-C ends"
    )
