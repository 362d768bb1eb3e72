"""The same three photos in every map and every refinement, for docs/recipes.md and docs/first.jpg.

scikit-image brings the photos: an espresso (Rachel Michetti), a cat (Stéfan van der Walt) and a rocket
(SpaceX), all without restrictions. The network is the ImageNet classifier that `beyondcam explain` takes.
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from itertools import chain
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from skimage import data
from torch import Tensor

import beyondcam as bc
from beyondcam.evidence import AdaptiveThreshold, Evidence
from beyondcam.label_images import overlay
from beyondcam.library import as_photo, class_index
from beyondcam.recipes import Item, map_items

Pixels = NDArray[np.uint8]

HEIGHT = 200
"""Of the photos in a strip, pixels."""

MAPS = (
    "cam", "cam-ms", "crops-cam", "crops-cam-normalised", "saliency", "smoothgrad", "smoothgrad-squared",
    "vargrad", "binarymask", "crops-raw", "crops", "crops-mean", "gradcam", "gradcam++", "layercam",
    "hirescam", "input-x-gradient", "integrated-gradients", "rise", "best", "cam-fine", "saliency-fine",
    "fast", "centre", "contrast", "spectral-residual",
)  # fmt: skip

REFINEMENTS = ("smooth", "blur", "superpixels", "resolve", "walk", "affinity", "closer", "walk+affinity")

REFINED = tuple(chain.from_iterable((f"cam+{step}", f"saliency+{step}") for step in REFINEMENTS))


WITNESSES = ("witness-saliency", "witness-cam")

EVERY = (*MAPS, *REFINED, *WITNESSES)


class Shown(NamedTuple):
    """A photo, and the class that is asked about in it: its label, as in training data."""

    pixels: Pixels
    target: str
    called: str


@cache
def photos() -> tuple[Shown, ...]:
    """The three photos."""
    return (
        Shown(data.coffee(), "espresso", "espresso"),
        Shown(data.chelsea(), "Egyptian cat", "cat"),
        Shown(data.rocket(), "missile", "rocket"),
    )


@cache
def mapped(names: tuple[str, ...] = EVERY) -> tuple[dict[str, Tensor], ...]:
    """The map (H, W) of each photo by each recipe; recipes share their passes."""
    net = bc.folded(bc.imagenet_classifier().eval())
    recipes = {name: bc.Cookbook().recipe(name) for name in names}
    items = [
        Item(shown.called, as_photo(shown.pixels), (class_index(net, shown.target),)) for shown in photos()
    ]
    return tuple(
        {name: result.maps[0] for name, result in results.items()}
        for results in map_items(net, items, recipes)
    )


def evidence(maps: dict[str, Tensor], recipe: str) -> Evidence:
    """The evidence of a photo for its one class."""
    shown = maps[recipe]
    return Evidence.of(shown[None], (0,), (), (shown.shape[0], shown.shape[1]))


def grey(pixels: Pixels) -> Pixels:
    """A photo without its colours, pale."""
    return np.repeat(120 + 0.5 * pixels.mean(-1, keepdims=True), 3, -1).astype(np.uint8)


def heat(pixels: Pixels, shown: Tensor) -> Pixels:
    """A map, the square root of its share of its maximum, over its photo."""
    levels = (shown / shown.max()).clamp_min(0).sqrt().numpy()
    colours = 255 * mpl.colormaps["inferno"](levels)[..., :3]
    return (0.3 * grey(pixels) + 0.7 * colours).astype(np.uint8)


def mask(pixels: Pixels, maps: dict[str, Tensor], recipe: str) -> Pixels:
    """The seed of a recipe at the rule `adaptive`, over its photo."""
    return np.asarray(overlay(grey(pixels), bc.seed_labels(evidence(maps, recipe), AdaptiveThreshold())))


def beside(pictures: Sequence[Pixels], height: int = HEIGHT) -> Image.Image:
    """Pictures in a row, of one height."""
    tiles = [Image.fromarray(picture) for picture in pictures]
    tiles = [tile.resize((round(tile.width * height / tile.height), height)) for tile in tiles]
    row = Image.new("RGB", (sum(tile.width for tile in tiles) + 4 * (len(tiles) - 1), height), "white")
    left = 0
    for tile in tiles:
        row.paste(tile, (left, 0))
        left += tile.width + 4
    return row


def photo_strip() -> Image.Image:
    """The photos as they are."""
    return beside([shown.pixels for shown in photos()])


def map_strip(recipe: str) -> Image.Image:
    """The photos under their maps by a recipe."""
    return beside([heat(p.pixels, maps[recipe]) for p, maps in zip(photos(), mapped(), strict=True)])


def mask_strip(recipe: str) -> Image.Image:
    """The photos under their masks by a recipe."""
    return beside([mask(p.pixels, maps, recipe) for p, maps in zip(photos(), mapped(), strict=True)])


def named(recipe: str) -> str:
    """The file of a recipe's strip."""
    return f"map-{recipe.replace('+', '-')}.jpg"


STRIPS: dict[str, Callable[[], Image.Image]] = {
    "photos.jpg": photo_strip,
    **{named(recipe): partial(map_strip, recipe) for recipe in (*MAPS, *REFINED)},
    **{f"mask-{recipe}.jpg": partial(mask_strip, recipe) for recipe in ("best", "fast")},
}
