"""A tiny data set: 4 × 4 images with a RUN's evidence of them, and an example that was worked out by hand."""

from pathlib import Path

import numpy as np
from PIL import Image

from beyondcam.data import LabelledImages, open_images
from beyondcam.data.masks import Masks, open_masks
from beyondcam.evidence import WITNESSES, Evidence, Shelf, Winners, level_threshold, witnessed
from beyondcam.evidence.store import write_evidence
from beyondcam.metrics import Scores, score_split
from conftest import shelf_for

VOID = 255

# The example: cat is 1, dog is 2. Nine pixels of foreground, five of background, two void.
TRUTH = np.array(
    [
        [0, 0, 1, 1],
        [0, 1, 1, 1],
        [0, 2, 2, VOID],
        [2, 2, 0, VOID],
    ],
    np.uint8,
)
# The reference is right on four of the nine, the DR: three of cat in the corner, one of dog.
REFERENCE = np.array(
    [
        [0, 0, 1, 1],
        [0, 0, 0, 1],
        [0, 2, 0, 1],
        [0, 0, 0, 0],
    ],
    np.uint8,
)
# The seed is right on three of these four, and on two of the other five; eight of its pixels that are
# not void are foreground.
SEED = np.array(
    [
        [1, 0, 1, 1],
        [0, 1, 2, 0],
        [0, 2, 1, 2],
        [2, 0, 0, 0],
    ],
    np.uint8,
)
IOU = {"background": 4 / 7, "cat": 3 / 7, "dog": 2 / 5}
MIOU = 7 / 15
DR_RECALL, NDR_RECALL, FG_PRECISION = 3 / 4, 2 / 5, 5 / 8
LEVEL_100 = level_threshold(100)


def winners(seed: np.ndarray, high: int = 200, low: int = 40) -> Winners:
    """Winners whose seed is `seed` at levels from `low` to below `high`; cat wins where it is background."""
    return Winners(
        np.where(seed > 0, seed, 1).astype(np.uint8), np.where(seed > 0, high, low).astype(np.uint8)
    )


class SmallRun:
    """A `folder:` of 4 × 4 images of cats and dogs, and a RUN whose checkpoint only serves to be hashed."""

    def __init__(self, root: Path, ids: tuple[str, ...], truth: np.ndarray = TRUTH) -> None:
        self.root, self.run, self.ids = root, root / "run", ids
        for name in ("images", "masks", "run"):
            (root / name).mkdir(parents=True)
        for i in ids:
            Image.new("RGB", (4, 4)).save(root / f"images/{i}.png")
            Image.fromarray(truth).save(root / f"masks/{i}.png")
        rows = "".join(f"{i},cat;dog\n" for i in ids)
        (root / "classes.txt").write_text("cat\ndog\n")
        (root / "labels.csv").write_text(f"image,labels\n{rows}")
        (self.run / "classifier.safetensors").write_bytes(b"not read, only hashed")
        self.data = f"folder:{root}"

    def images(self, split: str = "all") -> LabelledImages:
        return open_images(self.data, split)

    def masks(self, split: str = "all") -> Masks:
        masks = open_masks(self.data, split)
        assert masks is not None
        return masks

    def shelf(self, name: str, split: str = "all", *, recipe: str | None = None, seed: int = 0) -> Shelf:
        return shelf_for(self.run, self.images(split), name, recipe=recipe, seed=seed)

    def put(
        self, name: str, own: Winners, split: str = "all", *, only=None, recipe=None, seed: int = 0
    ) -> Shelf:
        """Write the evidence of a recipe, the same for every image, or for those in `only`."""
        shelf = self.shelf(name, split, recipe=recipe, seed=seed)
        levels = np.stack([np.where(own.labels == k, own.levels, 0) for k in (2, 1)]).astype(np.uint8)
        for i in self.ids if only is None else only:
            if i in self.images(split).ids:
                write_evidence(shelf, i, Evidence(levels, (1, 0), (1.0, 1.0), (0.5, 0.5), (4, 4)))
        return shelf

    def agree(self, own: Winners, split: str = "all") -> None:
        """Write the same evidence of both witnesses for every image."""
        asked = witnessed(self.images(split), "labels")
        levels = np.stack([np.where(own.labels == k, own.levels, 0) for k in (1, 2)]).astype(np.uint8)
        for name in WITNESSES:
            shelf = shelf_for(self.run, asked, name)
            for i in asked.ids:
                write_evidence(shelf, i, Evidence(levels, (0, 1), (1.0, 1.0), (0.5, 0.5), (4, 4)))

    def score(self, split: str = "all", **options) -> Scores:
        return score_split(self.run, self.images(split), self.masks(split), **options)
