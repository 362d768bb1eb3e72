"""Shelves: the folders of a RUN in which evidence is kept, one for each recipe and split."""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, fields
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from beyondcam.classifier.adopt import checkpoint_of
from beyondcam.classifier.config import WEIGHTS
from beyondcam.data import LabelledImages
from beyondcam.decode import Fingerprint
from beyondcam.errors import BeyondcamError
from beyondcam.evidence.levels import Evidence, content_of, decode_evidence, targets_in
from beyondcam.evidence.origins import PROCESS, Origins, add_line
from beyondcam.files import hash_of, path_below, read_json, write_json, write_whole
from beyondcam.recipes import Cost, Recipe

VERSION = 2
"""Raised whenever the same recipe comes to mean other maps, so that no old evidence is taken up."""

CLAIM = "network.json"
"""Beside evidence of a network that is not in the folder, as a library's user may map with: what it is."""

FAMILY = ("seed", "targets", "precision")
"""What evidence must have in common to be compared."""

_COST = tuple(part.name for part in fields(Cost))

_MANIFEST: Mapping[str, type | tuple[type, ...]] = {
    "version": int, "data": str, "classes": list, "split": str, "targets": str, "recipe": (dict, str),
    "recipe_hash": str, "seed": int, "checkpoint": str, "precision": str, "name": str,
}  # fmt: skip


@dataclass(frozen=True)
class Shelf:
    """The evidence of one recipe on one split, in a folder of a RUN.

    Attributes
    ----------
    folder : where it is.
    manifest : all that it depends on, and the recipe's name.
    images : the images whose photos, and labels where these were asked about, evidence must be of to be read;
        None for a shelf that is being filled.
    origins : which photos the evidence was made of.

    """

    folder: Path
    manifest: dict[str, Any]
    images: LabelledImages | None = None
    origins: Origins = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "origins", Origins(self.folder))

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.manifest["name"])

    @property
    def family(self) -> tuple[Any, ...]:
        """Evidence of the same may be compared."""
        return tuple(self.manifest[key] for key in FAMILY)

    def path(self, image_id: str) -> Path:
        """The file of an image."""
        name = quote(image_id, safe="")
        if len(name) > 200:
            name = f"{name[:100]}-{hashlib.sha256(image_id.encode()).hexdigest()[:32]}"
        return self.folder / f"{name}.png"

    def read(self, image_id: str) -> Evidence:
        """The evidence of an image. Raises `BeyondcamError`, also where its labels or photo have changed."""
        path, labels = self.path(image_id), self._labels(image_id)
        if labels is None and self.images is not None and self.manifest["targets"] == "labels":
            raise BeyondcamError(f"{image_id}: has no label, so it has no evidence")
        content = content_of(path)
        photo = self.images.file_of(image_id) if self.images is not None else None
        if photo is not None and self.origins.changed(image_id, content, photo):
            if not photo.exists():
                raise BeyondcamError(f"{photo}: there is no such photo any more")
            raise BeyondcamError(f"{path}: is of another photo of this name; `beyondcam map` makes it anew")
        evidence = decode_evidence(path, content)
        if not self._fits(evidence.targets, evidence.predicted, labels):
            raise BeyondcamError(f"{path}: its image has other labels now; `beyondcam map` makes it anew")
        return evidence

    def is_current(self, image_id: str) -> bool:
        """Whether the evidence of an image is there, and of its present labels and photo."""
        labels = self._labels(image_id)
        photo = self.images.file_of(image_id) if self.images is not None else None
        return self.has(image_id, labels, photo)

    def _labels(self, image_id: str) -> Collection[int] | None:
        """The labels that the evidence of an image must be of; None where it may be of any."""
        if self.images is None or self.manifest["targets"] == "predicted":
            return None
        return self.images.labels.get(image_id)

    def has(self, image_id: str, targets: Collection[int] | None, photo: Path | None = None) -> bool:
        """Whether an image's evidence is there, of these `targets` and this photo where they are given."""
        try:
            content = content_of(self.path(image_id))
        except BeyondcamError:
            return False
        there = targets_in(content)
        if there is None or not self._fits(*there, targets):
            return False
        return not self.origins.changed(image_id, content, photo)

    def _fits(self, targets: Collection[int], predicted: bool, labels: Collection[int] | None) -> bool:
        """Whether the targets of evidence are these labels; without labels, whether it needed none."""
        if labels is None:
            return predicted or self.manifest["targets"] != "mixed"
        return set(labels) == set(targets)

    def cost(self) -> dict[str, float] | None:
        """Mean cost of an image, over all that were mapped; None where none is recorded."""
        texts = (path.read_bytes().decode("ascii", "replace") for path in self.folder.glob("cost*.csv"))
        whole = [line for text in texts for line in text.split("\n")[:-1]]  # what was cut short has no end
        rows = np.array([cells for cells in map(_numbers, whole) if len(cells) == len(_COST) + 1])
        if not len(rows):
            return None
        images, *sums = rows.sum(0).tolist()
        return dict(zip(_COST, (total / max(images, 1) for total in sums), strict=True))

    def add_cost(self, images: int, cost: Cost) -> None:
        """Record the cost of some images; apart from the evidence, whose bytes are the same in every run."""
        numbers = (images, *(getattr(cost, key) for key in _COST))
        add_line(self.folder / f"cost-{PROCESS}.csv", (f"{number:.6g}" for number in numbers))

    def holds(self, images: LabelledImages) -> bool:
        """Whether the evidence is of these data: at the same place, or with a photo in common."""
        if self.manifest["data"] == images.data:
            return True
        files = ((images.file_of(i), photos) for i, photos in islice(self.origins.of(images.ids), 16))
        return any(one.matches(file) for file, photos in files if file is not None for one in photos)


def _numbers(line: str) -> list[float]:
    """The numbers of a line; none where something else is in it."""
    try:
        numbers = [float(cell) for cell in line.split(",")]
    except ValueError:
        return []
    return numbers if np.isfinite(numbers).all() else []


def open_shelf(
    run: Path,
    images: LabelledImages,
    *,
    targets: str,
    precision: str,
    name: str,
    recipe: Recipe | str,
    seed: int,
    checkpoint: str | None = None,
) -> Shelf:
    """The folder for a recipe's evidence, made where it is missing. Any other setting has another folder.

    Data are known by their photos, so that evidence is found again when they were moved. Of evidence that
    other code has made, `recipe` says which. `checkpoint` names the weights; by default they are those that
    `checkpoint_hash` finds in `run`.
    """
    written = recipe if isinstance(recipe, str) else json.loads(recipe.model_dump_json())
    manifest = {
        "version": VERSION,
        "data": images.data,
        "classes": list(images.classes),
        "split": images.split,
        "targets": targets,
        "recipe": written,
        "recipe_hash": hash_of(written),
        "seed": seed,
        "checkpoint": checkpoint or checkpoint_hash(run),
        "precision": precision,
    }
    if {*name} & {*"/\\"}:
        raise BeyondcamError(f"{name!r} names a folder; leave out the slash", parameter="recipes")
    folder = path_below(path_below(run / "evidence", images.split), f"{name}-{hash_of(manifest)}")
    manifest["name"] = name  # which has no part in the hash
    if not (folder / "manifest.json").exists():
        for path in folder.parent.glob("*/manifest.json"):
            with suppress(BeyondcamError):  # of another recipe, perhaps
                moved = Shelf(path.parent, _read_manifest(path))
                if moved.manifest == manifest | {"data": moved.manifest["data"]} and moved.holds(images):
                    return moved
        write_json(folder / "manifest.json", manifest)
    return Shelf(folder, manifest)


def shelves(run: Path, images: LabelledImages) -> Iterator[Shelf]:
    """Every recipe's evidence for a split of the data, by name, made with the RUN's present checkpoint."""
    asked = {"version": VERSION, "classes": list(images.classes), "checkpoint": checkpoint_hash(run)}
    for path in sorted(path_below(run / "evidence", images.split).glob("*/manifest.json")):
        manifest = _read_manifest(path)
        shelf = Shelf(path.parent, manifest, images)
        if asked.items() <= manifest.items() and shelf.holds(images):
            yield shelf


def find_shelf(
    run: Path,
    images: LabelledImages,
    recipe: str,
    targets: str | None = None,
    recipe_hash: str | None = None,
) -> Shelf:
    """The one shelf of a recipe on a split; of several under its name, with these `targets` or this hash.

    Raises `BeyondcamError` where there is none, or several.
    """
    there = list(shelves(run, images))
    asked = {"name": recipe, "targets": targets, "recipe_hash": recipe_hash}
    asked = {key: value for key, value in asked.items() if value is not None}
    named = [shelf for shelf in there if asked.items() <= shelf.manifest.items()]
    if not there:
        raise BeyondcamError(
            f"{run}: no evidence of {images.split}; `beyondcam map` makes it, or name another (split)"
        )
    if not named:
        have = ", ".join(sorted({shelf.name for shelf in there}))
        raise BeyondcamError(
            f"{recipe}: no evidence on {images.split} (there is {have}); `beyondcam map` makes it",
            parameter="recipe",
        )
    named = [shelf for shelf in named if any(shelf.folder.glob("*.png"))] or named[:1]
    if len(named) > 1:
        which = ", ".join(
            f"{s.folder} of {', '.join(f'{key} {s.manifest[key]}' for key in FAMILY)}" for s in named
        )
        raise BeyondcamError(
            f"{recipe}: several have this name: {which}; say which (targets), or delete all but one",
            parameter="recipe",
        )
    return named[0]


def open_evidence(
    run: str | PathLike[str], images: LabelledImages, recipe: str, *, targets: str | None = None
) -> Callable[[str], Evidence]:
    """The evidence that a folder holds of a split, by the ids of its images.

    Parameters
    ----------
    run
        the RUN, or the folder that `map_split` wrote.
    images
        of the split.
    recipe
        its name.
    targets
        those that it was mapped with, where there is evidence of several.

    Returns
    -------
    A function of an id, whose `Evidence` `seed_labels` cuts a mask from. It raises `BeyondcamError` where the
    image has no evidence, or other labels or another photo by now.

    Raises
    ------
    BeyondcamError
        Where the recipe was not mapped, or several go by its name.

    """
    return find_shelf(Path(run), images, recipe, targets).read


def checkpoint_hash(run: Path) -> str:
    """Ten hexadecimal digits of the network that a folder's evidence is of: its checkpoint, or a claim's."""
    if digits := checkpoint_of(run):
        return digits
    if not (run / CLAIM).exists():
        raise BeyondcamError(f"{run / WEIGHTS}: not there; `beyondcam train` makes it")
    try:
        return str(read_json(run / CLAIM, "beyondcam map")["fingerprint"])
    except (KeyError, TypeError):
        raise BeyondcamError(f"{run / CLAIM}: names no network; map again to write it anew") from None


def claim(folder: Path, fingerprint: str) -> None:
    """Note which network the evidence of a folder is of that is no RUN; a RUN has its own network."""
    if checkpoint_of(folder) is None:
        write_json(folder / CLAIM, {"fingerprint": fingerprint})


def write_evidence(shelf: Shelf, image_id: str, evidence: Evidence, photo: Fingerprint | None = None) -> None:
    """Write an image's evidence, whole or not at all, and which `photo` it was made of."""
    content = evidence.encode()
    if photo is not None:
        shelf.origins.add(image_id, content, photo)
    write_whole(shelf.path(image_id), content)


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = read_json(path, "beyondcam map")
    if not isinstance(manifest, dict) or any(
        not isinstance(manifest.get(key), kind) for key, kind in _MANIFEST.items()
    ):
        raise BeyondcamError(
            f"{path}: says not what its evidence is; delete its folder, `beyondcam map` makes it anew"
        )
    return manifest
