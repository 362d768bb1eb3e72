"""Some images with their truth, maps and seeds, as small JPEG files."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from beyondcam.data import PALETTE, VOID, LabelledImages, evenly, open_images, read_mask
from beyondcam.data.masks import Masks, open_masks
from beyondcam.errors import BeyondcamError
from beyondcam.evidence import FAMILY, Shelf, shelves, winners_of
from beyondcam.files import path_below, write_whole
from beyondcam.label_images import encoded, overlay
from beyondcam.metrics import NetworkRow, Row
from beyondcam.outcome import Outcome, attempt
from beyondcam.report.groups import SHOWN, Group
from beyondcam.seeds import seed_labels

IMAGES = 12
"""Images shown, spread evenly over the split."""

WIDTH, HEIGHT = 220, 330
"""A thumbnail fits into this many pixels."""

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """One image: addresses of its thumbnails, in the order of the gallery's rows and networks."""

    id: str
    targets: Sequence[str]
    photo: str
    truth: str | None
    maps: Sequence[str]
    seeds: Sequence[str]
    predictions: Sequence[str]
    labels: frozenset[int]  # that can be seen in it

    @property
    def files(self) -> set[str]:
        """All addresses."""
        return {f for f in (self.photo, self.truth, *self.maps, *self.seeds, *self.predictions) if f}


@dataclass(frozen=True)
class Gallery:
    """What is shown of a group."""

    rows: Sequence[Row] = ()  # one a recipe, with the rule and τ of its seeds
    networks: Sequence[NetworkRow] = ()
    pictures: Sequence[Picture] = ()
    legend: dict[str, str] = field(default_factory=dict)  # class → colour, of those that can be seen
    left_out: dict[str, str] = field(default_factory=dict)  # what could not be shown, with the reason

    @property
    def files(self) -> set[str]:
        """All addresses."""
        return set().union(*(picture.files for picture in self.pictures))


def write_gallery(
    run: Path, group: Group, networks: Sequence[NetworkRow], classes: Sequence[str], folder: Path, prefix: str
) -> Gallery:
    """Write `folder/gallery/PREFIX-*.jpg`. What cannot be read is left out and named."""
    data, split = group.origin.data, group.origin.split
    networks = [row for row in networks if (row.data, row.split) == (data, split)][:SHOWN]
    try:
        images, masks = open_images(data, split, classes), open_masks(data, split, classes)
    except BeyondcamError as error:
        return Gallery(networks=networks, left_out={"every image": str(error)})
    here = {(s.name, s.manifest["recipe_hash"], *s.family): s for s in shelves(run, images)}
    keys = [(r.recipe, r.recipe_hash, *(getattr(r, key) for key in FAMILY)) for r in group.shown]
    evidence = [(row, here[key]) for row, key in zip(group.shown, keys, strict=True) if key in here]
    ids = [i for i in images.ids if all(shelf.path(i).exists() for _, shelf in evidence)] if evidence else []
    predictions = [run / "segment" / row.name / "predictions" / row.split for row in networks]

    @attempt
    def show(numbered: tuple[int, str]) -> Picture:
        stem = f"gallery/{prefix}-{numbered[0]:02d}"
        return _show(images, masks, evidence, predictions, numbered[1], folder, stem)

    shown = Outcome.of((i, show((n, i))) for n, i in enumerate(evenly(ids, IMAGES)))
    pictures = list(shown.results.values())
    names = dict(enumerate(classes, start=1)) | {VOID: "void"}
    seen = set[int]().union(*(picture.labels for picture in pictures))
    legend = {names[k]: _colour(k) for k in sorted(seen & names.keys())}
    return Gallery([row for row, _ in evidence], networks, pictures, legend, shown.left_out)


def _show(
    images: LabelledImages,
    masks: Masks | None,
    evidence: Sequence[tuple[Row, Shelf]],
    predictions: Sequence[Path],
    image_id: str,
    folder: Path,
    stem: str,
) -> Picture:
    """Write the thumbnails of one image."""
    photo = images.read(image_id)
    size = _fit(photo.width, photo.height)
    pixels = _resized(photo.pixels.permute(1, 2, 0).numpy(), size)
    thumbnails = {"photo": Image.fromarray(pixels)}
    pale = np.repeat(140 + 0.42 * pixels.mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    labels: dict[str, Pixels] = {}
    if masks is not None:
        labels["truth"] = masks.read(image_id).numpy()
    for n, (row, shelf) in enumerate(evidence):
        stored = shelf.read(image_id)
        small = replace(stored, size=stored.levels.shape[1:])  # a thumbnail needs no enlarged evidence
        shades = mpl.colormaps["inferno"](_resized(winners_of(small).levels, size), bytes=True)
        thumbnails[f"{n}-map"] = Image.fromarray(shades[..., :3])
        labels[f"{n}-seed"] = seed_labels(small, row.threshold)
    for n, place in enumerate(predictions):
        labels[f"{n}-prediction"] = read_mask(path_below(place, image_id, ".png")).numpy()
    for name, drawn in labels.items():
        thumbnails[name] = overlay(pale, _resized(drawn, size, Image.Resampling.NEAREST))
    address = {name: f"{stem}-{name}.jpg" for name in thumbnails}
    for name, thumbnail in thumbnails.items():
        write_whole(folder / address[name], encoded(thumbnail, "JPEG", quality=80, subsampling=0))
    return Picture(
        image_id,
        [images.classes[t] for t in stored.targets],
        address["photo"],
        address.get("truth"),
        [address[f"{n}-map"] for n in range(len(evidence))],
        [address[f"{n}-seed"] for n in range(len(evidence))],
        [address[f"{n}-prediction"] for n in range(len(predictions))],
        frozenset(int(k) for drawn in labels.values() for k in np.unique(drawn)),
    )


def _fit(width: int, height: int) -> tuple[int, int]:
    """A thumbnail's width and height: smaller than the picture, or a whole multiple of it."""
    scale = min(WIDTH / width, HEIGHT / height)
    scale = int(scale) if scale > 1 else scale
    return max(1, round(width * scale)), max(1, round(height * scale))


def _resized(pixels: Pixels, size: tuple[int, int], how: Image.Resampling = Image.Resampling.BOX) -> Pixels:
    return np.asarray(Image.fromarray(pixels).resize(size, how))


def _colour(label: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*PALETTE[3 * label : 3 * label + 3])
