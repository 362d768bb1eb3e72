"""Some images with their truth, maps and seeds, as small JPEG files."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beyondcam.data import VOID, LabelledImages, Masks, evenly, open_images, open_masks, read_mask
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import FAMILY, Shelf, shelves, winners_of
from beyondcam.files import write_whole
from beyondcam.report.groups import SHOWN, Group, Values
from beyondcam.seeds import PALETTE, encoded, overlay, seed_labels

IMAGES = 12
"""Images shown, spread evenly over the split."""

WIDTH, HEIGHT = 220, 330
"""A thumbnail fits into this many pixels."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """One image: the addresses of its thumbnails, in the order of the gallery's rows and networks."""

    id: str
    targets: Sequence[str]
    photo: str
    truth: str | None
    maps: Sequence[str]
    seeds: Sequence[str]
    predictions: Sequence[str]

    @property
    def files(self) -> set[str]:
        """All addresses."""
        return {f for f in (self.photo, self.truth, *self.maps, *self.seeds, *self.predictions) if f}


@dataclass
class Gallery:
    """What is shown of a group.

    Attributes
    ----------
    rows : one a recipe shown, with the rule and τ of its seeds.
    networks : one a segmentation network shown.
    legend : the classes that can be seen, with their colours.
    left_out : what could not be shown, with the reason.

    """

    rows: list[Values] = field(default_factory=list)
    networks: list[Values] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    legend: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def files(self) -> set[str]:
        """All addresses."""
        return set().union(*(picture.files for picture in self.pictures))


def write_gallery(
    run: Path, group: Group, networks: Sequence[Values], classes: Sequence[str], folder: Path, prefix: str
) -> Gallery:
    """Write `folder/gallery/PREFIX-*.jpg`. What cannot be read is left out and named."""
    gallery = Gallery(networks=[row for row in networks if _predicts(row, group)][:SHOWN])
    predictions = [run / "segment" / row["name"] / "predictions" / row["split"] for row in gallery.networks]
    try:
        images = open_images(group.key["data"], group.key["split"], classes)
        masks = open_masks(group.key["data"], group.key["split"], classes)
    except BeyondcamError as error:
        gallery.left_out["every image"] = str(error)
        return gallery
    found = _found(run, images, group)
    gallery.rows = [row for row, _ in found]
    ids = [i for i in images.ids if all(shelf.path(i).exists() for _, shelf in found)] if found else []
    seen: set[int] = set()
    for number, i in enumerate(evenly(ids, IMAGES)):
        try:
            stem = f"gallery/{prefix}-{number:02d}"
            picture, labels = _show(images, masks, found, predictions, i, folder, stem)
        except BeyondcamError as error:
            gallery.left_out[i] = str(error)
        else:
            gallery.pictures.append(picture)
            seen |= labels
    names = dict(enumerate(classes, start=1)) | {VOID: "void"}
    gallery.legend = {names[k]: _colour(k) for k in sorted(seen & names.keys())}
    return gallery


def _predicts(network: Values, group: Group) -> bool:
    """Whether a segmentation network was scored on the images of a group."""
    return all(network[key] == group.key[key] for key in ("data", "split"))


def _found(run: Path, images: LabelledImages, group: Group) -> list[tuple[Values, Shelf]]:
    """The evidence that the rows shown were worked out from, where it is still there."""
    have = {(s.name, s.manifest["recipe_hash"], *s.family): s for s in shelves(run, images)}
    keys = [(row["recipe"], row["recipe_hash"], *(row[key] for key in FAMILY)) for row in group.shown]
    return [(row, have[key]) for row, key in zip(group.shown, keys, strict=True) if key in have]


def _show(
    images: LabelledImages,
    masks: Masks | None,
    found: Sequence[tuple[Values, Shelf]],
    predictions: Sequence[Path],
    image_id: str,
    folder: Path,
    stem: str,
) -> tuple[Picture, set[int]]:
    """Write the thumbnails of one image; return their addresses and the labels to be seen in them."""
    photo = images.read(image_id)
    size = _fit(photo.width, photo.height)
    pixels = _resized(photo.pixels.permute(1, 2, 0).numpy(), size)
    thumbnails = {"photo": Image.fromarray(pixels)}
    pale = np.repeat(140 + 0.42 * pixels.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    drawn = {}
    if masks is not None:
        drawn["truth"] = masks.read(image_id).numpy()
    for n, (row, shelf) in enumerate(found):
        stored = shelf.read(image_id)
        evidence = replace(stored, size=stored.levels.shape[1:])  # a thumbnail needs no growing
        shades = mpl.colormaps["inferno"](_resized(winners_of(evidence).levels, size), bytes=True)
        thumbnails[f"{n}-map"] = Image.fromarray(shades[..., :3])
        drawn[f"{n}-seed"] = seed_labels(evidence, row["threshold"])
    for n, place in enumerate(predictions):
        drawn[f"{n}-prediction"] = read_mask(place / f"{image_id}.png").numpy()
    for name, labels in drawn.items():
        thumbnails[name] = overlay(pale, _resized(labels, size, Image.Resampling.NEAREST))
    address = {name: f"{stem}-{name}.jpg" for name in thumbnails}
    for name, thumbnail in thumbnails.items():
        write_whole(folder / address[name], encoded(thumbnail, "JPEG", quality=80, subsampling=0))
    picture = Picture(
        image_id,
        [images.classes[t] for t in stored.targets],
        address["photo"],
        address.get("truth"),
        [address[f"{n}-map"] for n in range(len(found))],
        [address[f"{n}-seed"] for n in range(len(found))],
        [address[f"{n}-prediction"] for n in range(len(predictions))],
    )
    return picture, {int(k) for labels in drawn.values() for k in np.unique(labels)}


def _fit(width: int, height: int) -> tuple[int, int]:
    """A thumbnail's width and height: smaller than the picture, or a whole multiple of it."""
    scale = min(WIDTH / width, HEIGHT / height)
    scale = int(scale) if scale > 1 else scale
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(pixels: Pixels, size: tuple[int, int], how: Image.Resampling = Image.Resampling.BOX) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize(size, how))


def _colour(label: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*PALETTE[3 * label : 3 * label + 3])
