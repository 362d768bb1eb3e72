"""What the commands share: options, and those that are made from the fields of settings."""

import inspect
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar, Union, get_args, get_origin

import typer

from beyondcam.cli.terminal import log
from beyondcam.errors import BeyondcamError, first_complaint

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from beyondcam.data import LabelledImages
    from beyondcam.data.masks import Masks
    from beyondcam.evidence import Shelf, Threshold
    from beyondcam.reviews import Reviews

T = TypeVar("T")

Run = Annotated[
    Path, typer.Argument(metavar="RUN", help="What `beyondcam train` made; of `masks` the folder OUT/run.")
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="D",
        help="digits, voc:PATH, coco:IMAGES_DIR:INSTANCES_JSON, folder:PATH or imagefolder:PATH; the default "
        "is the RUN's own.",
    ),
]
Classes = Annotated[str | None, typer.Option(help="Classes to keep, separated by commas.")]
Negatives = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="The folder or label that stands for photos of no class."),
]
Split = Annotated[
    str | None,
    typer.Option(
        help="Split of the data; by default val, or all where the RUN was trained on all of these data."
    ),
]
TrainedSplit = Annotated[
    str | None,
    typer.Option("--split", help="Split of the data; by default the one that was trained on."),
]
Recipe = Annotated[
    str | None,
    typer.Option("--recipe", help="Recipe whose evidence to take; by default best, fast or the only one."),
]
Who = Annotated[
    str | None, typer.Option(help="The name that decisions and masks carry; by default that of the user.")
]
Recipes = Annotated[Path | None, typer.Option("--recipes", help="A TOML file of your own recipes.")]
MaxPixels = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Pixels of the largest photo; larger JPEGs are read at a reduced size, other files left out. "
        "By default as in training; of `explain` and `predict` 179 million.",
    ),
]
Targets = Literal["labels", "predicted", "mixed"]  # as in `evidence`, which loads torch
OfTargets = Annotated[
    Targets | None,
    typer.Option("--targets", help="Which evidence, where `map` made several under the recipe's name."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of every random draw.")]


ADVISED = (
    "classes", "data", "epochs", "lr", "max_pixels", "negatives", "output_stride", "size", "split", "targets"
)  # fmt: skip
"""The settings that `advised` knows as options."""

PAIRS_AND_TRIPLES = (tuple[float, float], tuple[float, float, float])


def option_of(name: str, field: "FieldInfo") -> inspect.Parameter:
    """The option for a field of settings. What is not given is None, and left to the settings."""
    members = get_args(field.annotation) if get_origin(field.annotation) in (Union, UnionType) else ()
    kind, *others = [member for member in members or (field.annotation,) if member is not NoneType]
    choices = get_args(kind) if get_origin(kind) is Literal else ()
    if choices:
        kind = type(choices[0])
    elif others or kind not in (bool, int, float, str, Path, *PAIRS_AND_TRIPLES):
        kind = str
    default = field.get_default()
    if isinstance(default, bool):
        default = name if default else f"no-{name}"
    elif isinstance(default, tuple):
        default = " ".join(map(str, default))
    option = typer.Option(
        help=field.description,
        metavar=f"[{'|'.join(map(str, choices))}]" if choices else None,
        show_default=False if field.is_required() or default is None else str(default),
    )
    required = field.is_required()
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if required else None,
        annotation=Annotated[kind if required else kind | None, option],
    )


def settings_of(make: Callable[..., T], given: Mapping[str, object]) -> T:
    """Settings of the options that were given. Raises `BeyondcamError` that names a wrong one."""
    from pydantic import ValidationError

    try:
        return make(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        fields, what = first_complaint(error)
        raise BeyondcamError(what, parameter=fields[0] if fields else None) from None


def open_images_of(
    run: Path,
    data: str | None,
    split: str | None,
    classes: str | None,
    max_pixels: int | None = None,
    *,
    default: str | None = None,
) -> "LabelledImages":
    """The images of a split, by default of the RUN's own data, split and classes.

    With a `default` split it is this one, but all where the RUN was trained on all of the same data, which
    may have been moved since.
    """
    from beyondcam.classifier import read_config
    from beyondcam.data import VOID, open_images
    from beyondcam.evidence import shelves

    config, trained = read_config(run)
    if len(trained) > VOID - 1:
        what = f"its network has {len(trained)} classes, and a mask can number at most {VOID - 1}"
        raise BeyondcamError(f"{run}: {what}; `beyondcam explain` takes it all the same")
    if split is None and default is not None:
        split = default
        if config.split == "all":
            with suppress(BeyondcamError):  # of data that have no split all
                whole = open_images(data, "all", trained) if data else None
                if whole is None or whole.data == config.data or any(shelves(run, whole)):
                    split = "all"  # evidence knows its photos, wherever they are
    images = open_images(
        data or config.data, split or config.split, names(classes) or trained, max_pixels or config.max_pixels
    )
    if images.classes != trained:
        raise BeyondcamError(f"give them as in training, {','.join(trained)}", parameter="classes")
    return images


def advised(message: str) -> str:
    """What the library says of settings, `(lr)`, with the options that set them, `(--lr)`.

    In names of files, such as `photos (data)/1.jpg`, they stay.
    """
    return re.sub(
        rf"\(({'|'.join(ADVISED)})\)(?![/:.])", lambda named: f"(--{named[1].replace('_', '-')})", message
    )


def advise(message: str) -> None:
    """`log` what is `advised`."""
    log(advised(message))


def truth_of(images: "LabelledImages", parameter: str | None = None) -> "Masks":
    """The masks of images. Raises `BeyondcamError`, which may name a parameter, where they have none."""
    from beyondcam.data.masks import open_masks

    masks = open_masks(images.data, images.split, images.classes)
    if masks is None:
        raise BeyondcamError(f"{images.data} has no masks to compare with", parameter=parameter)
    return masks


def open_seeds_of(
    run: Path, images: "LabelledImages", recipe: str | None, targets: str | None, threshold: str
) -> "tuple[Shelf, Threshold, Reviews]":
    """What seeds of a split are made of, evidence and a threshold, and what people decided about them."""
    from beyondcam.evidence import find_shelf, first_recipe
    from beyondcam.metrics import threshold_of
    from beyondcam.reviews import open_reviews

    shelf = find_shelf(run, images, recipe or first_recipe(run, images), targets)
    reviews = open_reviews(run, images)
    say_lapsed(reviews)
    return shelf, threshold_of(run, images, shelf, threshold), reviews


def say_lapsed(reviews: "Reviews") -> None:
    """Say which masks of humans do not count any more."""
    if lapsed := reviews.lapsed():
        log(lapsed)


def say_doubt(run: Path) -> None:
    """Say what `train` has said of a classifier that has learnt nothing, lest its maps be taken for good."""
    from beyondcam.classifier.load import doubt_of

    if doubt := doubt_of(run):
        advise(doubt)


def names(text: str | None) -> tuple[str, ...] | None:
    """The names in a list with commas between them."""
    return None if text is None else tuple(name.strip() for name in text.split(","))


def name_of_user(given: str | None) -> str:
    """The name that somebody gives, else that of the user whose process this is."""
    import getpass

    from beyondcam.data.folder import composed

    with suppress(OSError, KeyError, ImportError):  # as in a container that knows no users
        return composed(given or getpass.getuser())
    raise BeyondcamError("this machine has no name of yours; give one", parameter="who")


def check_name(name: str, parameter: str) -> None:
    """Raise `BeyondcamError` where a name cannot be that of a folder in the RUN."""
    if not re.fullmatch(r"\w[\w.+-]*", name):
        raise BeyondcamError(f"{name!r} holds more than letters, digits, _, ., + and -", parameter=parameter)


def end(left_out: Mapping[str, str]) -> None:
    """Name what was left out, and exit with 1 if anything was."""
    for what, reason in left_out.items():
        advise(f"left out: {what}: {reason}")
    if left_out:
        raise typer.Exit(1)


def classes_of_keys(images: "LabelledImages") -> tuple[str, ...]:
    """The classes that keys of IRN's files number: all of the data's, if they include those of `images`."""
    from beyondcam.data import open_images

    try:
        known = open_images(images.data, images.split).classes
    except BeyondcamError:
        return images.classes
    return known if set(images.classes) <= set(known) else images.classes
