"""Some images with their truth, maps and seeds, as small JPEG files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beyondcam.classifier import read_config
from beyondcam.data import PALETTE, VOID, LabelledImages, evenly, open_images
from beyondcam.data.mask_file import read_label_image
from beyondcam.data.masks import Masks, open_masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import FAMILY, Shelf, shelves, winners_of
from beyondcam.files import path_below, write_whole
from beyondcam.label_images import encoded, overlay
from beyondcam.metrics import NetworkRow, Row, number
from beyondcam.outcome import LeftOut, Outcome, attempt
from beyondcam.report.groups import SHOWN, Group
from beyondcam.seeds import seed_labels

IMAGES = 12
"""Images shown, spread evenly over the split, of those that have a mask where the data have any."""

WIDTH, HEIGHT = 220, 330
"""A thumbnail fits into this many pixels."""

Pixels = NDArray[np.uint8]


class Tile(NamedTuple):
    """Thumbnails one below the other, and the words above them."""

    caption: str
    detail: str
    files: Sequence[tuple[str, str]]  # address, and what it shows


class Picture(NamedTuple):
    """One image of the gallery."""

    id: str
    targets: Sequence[str]
    tiles: Sequence[Tile]
    labels: set[int]  # that can be seen


@dataclass(frozen=True)
class Gallery:
    """What is shown of a group."""

    pictures: Sequence[Picture] = ()
    legend: dict[str, str] = field(default_factory=dict)  # class → colour, of those that can be seen
    left_out: dict[str, str] = field(default_factory=dict)  # what could not be shown, with the reason

    @property
    def files(self) -> set[str]:
        """The addresses of all thumbnails."""
        return {file for picture in self.pictures for tile in picture.tiles for file, _ in tile.files}


def write_gallery(
    run: Path, group: Group, networks: Sequence[NetworkRow], classes: Sequence[str], folder: Path, prefix: str
) -> Gallery:
    """Write `folder/gallery/PREFIX-*.jpg`. What cannot be read is left out and named."""
    data, split = group.origin.data, group.origin.split
    try:
        most = read_config(run)[0].max_pixels
        images, masks = open_images(data, split, classes, most), open_masks(data, split, classes)
    except BeyondcamError as error:
        return Gallery(left_out={"every image": str(error)})
    here = {(s.name, s.manifest["recipe_hash"], *s.family): s for s in shelves(run, images)}
    keys = [(r.recipe, r.recipe_hash, *(getattr(r, key) for key in FAMILY)) for r in group.shown]
    recipes = [(row, here[key]) for row, key in zip(group.shown, keys, strict=True) if key in here]
    ids = [i for i in images.ids if all(shelf.path(i).exists() for _, shelf in recipes)] if recipes else []
    predictions = {
        row.name: run / "segment" / row.name / "predictions" / split
        for row in [row for row in networks if (row.data, row.split) == (data, split)][:SHOWN]
    }

    def show(image_id: str) -> Picture:
        stem = f"gallery/{prefix}-{chosen.index(image_id):02d}"
        return _show(images, masks, recipes, predictions, image_id, folder, stem)

    chosen, without = _choose(ids, masks)
    shown = Outcome.of((i, attempt(show)(i)) for i in chosen)
    pictures = list(shown.results.values())
    names = dict(enumerate(classes, start=1)) | {VOID: "void"}
    seen = set[int]().union(*(picture.labels for picture in pictures))
    legend = {names[k]: _colour(k) for k in sorted(seen & names.keys())}
    return Gallery(pictures, legend, without | shown.left_out)


def _choose(ids: Sequence[str], masks: Masks | None) -> tuple[list[str], dict[str, str]]:
    """Which images to show, and what was passed over since its mask cannot be read, with the first reason.

    Others are looked at only until there are enough, since there may be thousands.
    """
    passed = dict[str, str]()

    def masked(image_id: str) -> bool:
        mask = masks and attempt(masks.read)(image_id)
        if isinstance(mask, LeftOut):
            passed[image_id] = mask.reason
        return image_id not in passed

    spread = dict.fromkeys(i for n in range(len(ids).bit_length()) for i in evenly(ids, IMAGES << n))
    found = set(islice(filter(masked, spread), IMAGES))
    others = f" and {len(passed) - 1} more" if len(passed) > 1 else ""
    return [i for i in ids if i in found], {f"{i}{others}": why for i, why in islice(passed.items(), 1)}


def _show(
    images: LabelledImages,
    masks: Masks | None,
    recipes: Sequence[tuple[Row, Shelf]],
    predictions: Mapping[str, Path],
    image_id: str,
    folder: Path,
    stem: str,
) -> Picture:
    """Write the thumbnails of one image; `predictions` are folders of label images by network."""
    photo = images.read(image_id)
    size = _fit(photo.width, photo.height)
    pixels = _resized(photo.pixels.permute(1, 2, 0).numpy(), size)
    pale = np.repeat(140 + 0.42 * pixels.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    seen: set[int] = set()

    def over(labels: Pixels) -> Image.Image:
        seen.update(np.unique(labels).tolist())
        return overlay(pale, _resized(labels, size, Image.Resampling.NEAREST))

    def tile(caption: str, detail: str, **thumbnails: tuple[str, Image.Image]) -> Tile:
        for name, (_, picture) in thumbnails.items():
            write_whole(folder / f"{stem}-{name}.jpg", encoded(picture, "JPEG", quality=80, subsampling=0))
        files = [(f"{stem}-{name}.jpg", f"{what} {image_id}") for name, (what, _) in thumbnails.items()]
        return Tile(caption, detail, files)

    truth = {} if masks is None else {"truth": ("truth of", over(masks.read(image_id).numpy()))}
    tiles = [
        tile(
            "photo", "truth below" if truth else "no mask", photo=("photo", Image.fromarray(pixels)), **truth
        )
    ]
    for n, (row, shelf) in enumerate(recipes):
        stored = shelf.read(image_id)
        small = replace(stored, size=stored.levels.shape[1:])  # a thumbnail needs no enlarged evidence
        shades = mpl.colormaps["inferno"](_resized(winners_of(small).levels, size), bytes=True)
        drawn = {
            f"{n}-map": (f"map of {row.recipe} for", Image.fromarray(shades[..., :3])),
            f"{n}-seed": (
                f"seed of {row.recipe} for",
                over(seed_labels(small, row.background_score)),
            ),
        }
        tiles.append(tile(row.recipe, f"τ {number(row.threshold)}, {row.threshold_rule}", **drawn))
    for n, (name, place) in enumerate(predictions.items()):
        prediction = over(read_label_image(path_below(place, image_id, ".png")))
        tiles.append(tile("network", name, **{f"{n}-prediction": (f"prediction of {name} for", prediction)}))
    return Picture(image_id, [images.classes[t] for t in stored.targets], tiles, seen)


def _fit(width: int, height: int) -> tuple[int, int]:
    """A thumbnail's width and height: smaller than the picture, or a whole multiple of it."""
    scale = min(WIDTH / width, HEIGHT / height)
    scale = int(scale) if scale > 1 else scale
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(pixels: Pixels, size: tuple[int, int], how: Image.Resampling = Image.Resampling.BOX) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize(size, how))


def _colour(label: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*PALETTE[3 * label : 3 * label + 3])
