"""Evidence on disk: for every target of an image √v as uint8, in one lossless PNG with its facts inside."""

import hashlib
import io
import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin
from torch import Tensor

from beyondcam.data import LabelledImages
from beyondcam.errors import BeyondcamError
from beyondcam.files import hash_of, read_json, write_json, write_whole
from beyondcam.recipes import Cost, Recipe

VERSION = 2
"""Raised whenever the same recipe comes to mean other maps, so that no old evidence is taken up."""

CHECKPOINT = "classifier.safetensors"

CLAIM = "network.json"
"""Beside evidence of a network that is not in the folder, as a library's user may map with: what it is."""

LEVELS = 256
"""Levels of the stored √v; v = (level / 255)²."""

FAMILY = ("seed", "targets", "precision")
"""What evidence must have in common to be compared."""

_COST = ("forward", "backward", "megapixels", "seconds")
_PROCESS = uuid.uuid4().hex[:16]


@dataclass(frozen=True)
class Evidence:
    """The evidence of one image.

    Attributes
    ----------
    levels : uint8 (k, H, W), √v of each target, v being its map divided by its own maximum.
    targets : the k classes.
    maxima : of the k raw maps.
    scores : the classifier's logits of the k classes, for the whole image.
    size : (height, width) of the picture as stored; H, W may be smaller.
    uncovered : share of the pixels that no view covered.

    """

    levels: NDArray[np.uint8]
    targets: tuple[int, ...]
    maxima: tuple[float, ...]
    scores: tuple[float, ...]
    size: tuple[int, int]
    uncovered: float = 0.0

    @classmethod
    def of(
        cls, maps: Tensor, targets: tuple[int, ...], scores: tuple[float, ...], size: tuple[int, int],
        uncovered: float = 0.0,
    ) -> "Evidence":  # fmt: skip
        """Evidence from maps (k, H, W), none of them negative."""
        values = maps.numpy().astype(np.float64)
        maxima = values.max((1, 2), initial=0.0)
        v = values / np.where(maxima > 0, maxima, 1)[:, None, None]
        levels = np.rint(np.sqrt(v.clip(0, 1)) * (LEVELS - 1)).astype(np.uint8)
        return cls(levels, targets, tuple(maxima.tolist()), scores, size, uncovered)

    def encode(self) -> bytes:
        """A grey PNG of the targets' levels one below the other, the facts in a text chunk."""
        facts = asdict(self)
        facts["shape"] = self.levels.shape
        del facts["levels"]
        text = PngImagePlugin.PngInfo()
        text.add_text("beyondcam", json.dumps(facts))
        k, height, width = self.levels.shape
        rows = self.levels.reshape(k * height, width) if k else np.zeros((1, 1), np.uint8)
        out = io.BytesIO()
        Image.fromarray(rows).save(out, "PNG", pnginfo=text, compress_level=2)
        return out.getvalue()


def read_evidence(path: Path) -> Evidence:
    """Read what `Evidence.encode` wrote. Raises `BeyondcamError`."""
    try:
        with _open(path) as opened:
            facts = _facts(opened)
            shape = tuple(facts.pop("shape"))
            levels = np.asarray(opened).reshape(shape) if shape[0] else np.zeros(shape, np.uint8)
        lists = {k: tuple(facts.pop(k)) for k in ("targets", "maxima", "scores", "size")}
        return Evidence(levels, **lists, uncovered=float(facts["uncovered"]))
    except FileNotFoundError:
        raise BeyondcamError(f"{path}: no evidence; `beyondcam map` makes it, or says why not") from None
    except (OSError, LookupError, TypeError, ValueError, SyntaxError) as error:
        raise BeyondcamError(
            f"{path}: not evidence ({error}); delete it and run `beyondcam map` again"
        ) from None


def _open(path: Path) -> PngImagePlugin.PngImageFile:
    """A file of evidence, whose many targets of a large photo `Image.open` would take for a bomb."""
    return PngImagePlugin.PngImageFile(path)


def _facts(opened: Image.Image) -> dict[str, Any]:
    return json.loads(opened.info["beyondcam"])  # `text` would decode the pixels too


def threshold_level(threshold: float) -> int:
    """The highest level that is not above a threshold on v: `level > it` is `v > threshold`."""
    return int(np.floor(np.sqrt(np.clip(threshold, 0, 1)) * (LEVELS - 1) + 1e-9))


def level_threshold(level: int) -> float:
    """The threshold on v that a level stands for."""
    return (level / (LEVELS - 1)) ** 2


@dataclass(frozen=True)
class Shelf:
    """The evidence of one recipe on one split, in a folder of a RUN.

    Attributes
    ----------
    folder, name : where it is, and the recipe's name.
    manifest : all that it depends on.
    labels : id → the classes that its evidence must be of; None where that is not asked: the classifier has
        chosen them, or `map` is at it.

    """

    folder: Path
    name: str
    manifest: dict[str, Any]
    labels: Mapping[str, frozenset[int]] | None = None

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
        """The evidence of an image. Raises `BeyondcamError`, also where it is of labels that are no more."""
        path = self.path(image_id)
        if self.labels is not None and image_id not in self.labels:
            raise BeyondcamError(f"{image_id}: has no label, so no evidence is of it")
        evidence = read_evidence(path)
        if self.labels is not None and self.labels[image_id] != set(evidence.targets):
            raise BeyondcamError(f"{path}: its image has other labels now; `beyondcam map` makes it anew")
        return evidence

    def has(self, image_id: str, targets: tuple[int, ...] | None) -> bool:
        """Whether an image's evidence is there and, where `targets` are given, is of these."""
        try:
            with _open(self.path(image_id)) as opened:
                own = tuple(_facts(opened)["targets"])
        except (OSError, LookupError, TypeError, ValueError, SyntaxError):
            return False
        return targets is None or own == targets

    def cost(self) -> dict[str, float] | None:
        """Mean cost an image, over all that was mapped; None where none is recorded."""
        lines = [line for path in self.folder.glob("cost*.csv") for line in path.read_text().splitlines()]
        rows = np.array([cells for cells in map(_numbers, lines) if len(cells) == len(_COST) + 1])
        if not len(rows):
            return None
        images, *sums = rows.sum(0).tolist()
        return dict(zip(_COST, (total / max(images, 1) for total in sums), strict=True))

    def add_cost(self, images: int, cost: Cost) -> None:
        """Record the cost of some images; apart from the evidence, whose bytes are the same in every run."""
        facts = asdict(cost)
        line = ",".join(f"{value:.6g}" for value in (images, *(facts[k] for k in _COST)))
        path = self.folder / f"cost-{_PROCESS}.csv"  # lines of several machines could run into each other
        try:
            with path.open("a") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise BeyondcamError(f"{path}: could not be written ({error.strerror})") from None


def _numbers(line: str) -> list[float]:
    """The numbers of a line; none where it was cut off in the middle of one."""
    try:
        return [float(cell) for cell in line.split(",")]
    except ValueError:
        return []


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
    """The folder for a recipe's evidence, made where it is missing. Anything else asked is another folder.

    Of evidence that other code has made, `recipe` says which. `checkpoint` names the weights; by default they
    are those that `checkpoint_hash` finds in `run`.
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
    key = hash_of(manifest)
    folder = run / "evidence" / images.split / f"{name}-{key}"
    if not (folder / "manifest.json").exists():
        write_json(folder / "manifest.json", manifest | {"name": name})
    return Shelf(folder, name, manifest)


def shelves(run: Path, images: LabelledImages) -> Iterator[Shelf]:
    """Every recipe's evidence for a split of the data, by name, made with the RUN's present checkpoint."""
    asked = {
        "version": VERSION,
        "data": images.data,
        "classes": list(images.classes),
        "checkpoint": checkpoint_hash(run),
    }
    for path in sorted((run / "evidence" / images.split).glob("*/manifest.json")):
        manifest = read_json(path, "beyondcam map")
        if asked.items() <= manifest.items():
            labels = images.labels if manifest["targets"] == "labels" else None
            yield Shelf(path.parent, manifest["name"], manifest, labels)


def checkpoint_hash(run: Path) -> str:
    """Ten hexadecimal digits of the network that a folder's evidence is of: its checkpoint, or a claim's."""
    file = _file_hash(run)
    path = run / CLAIM
    if path.exists():
        claimed = read_json(path, "beyondcam map")
        if isinstance(claimed, dict) and claimed.get("checkpoint") == file and claimed.get("fingerprint"):
            return str(claimed["fingerprint"])
    if file is None:
        raise BeyondcamError(f"{run / CHECKPOINT}: not there; `beyondcam train` makes it")
    return file


def claim(folder: Path, fingerprint: str) -> None:
    """Note which network a folder's evidence is of, unless it is the folder's own checkpoint."""
    file = _file_hash(folder)
    if fingerprint != file:
        write_json(folder / CLAIM, {"fingerprint": fingerprint, "checkpoint": file})
    elif (folder / CLAIM).exists():
        (folder / CLAIM).unlink(missing_ok=True)


def _file_hash(run: Path) -> str | None:
    """Ten hexadecimal digits of a RUN's checkpoint, None where it has none."""
    try:
        return hashlib.sha256((run / CHECKPOINT).read_bytes()).hexdigest()[:10]
    except OSError:
        return None


def write_evidence(shelf: Shelf, image_id: str, evidence: Evidence) -> None:
    """Write an image's evidence, whole or not at all."""
    write_whole(shelf.path(image_id), evidence.encode())
