"""Evidence made up for tests, of a few discs."""

from pathlib import Path

import numpy as np
import torch

import beyondcam as bc
from beyondcam.evidence import WITNESSES, Evidence, Shelf, witnessed, write_evidence
from conftest import shelf_for


def evidence_of(
    levels: np.ndarray, targets: tuple[int, ...], size: tuple[int, int] | None = None
) -> Evidence:
    k = len(targets)
    return Evidence(levels.astype(np.uint8), targets, (1.0,) * k, (0.0,) * k, size or levels.shape[1:])


def evidence_of_maps(*maps: list[list[float]], targets: tuple[int, ...] | None = None) -> Evidence:
    stacked = torch.tensor(maps, dtype=torch.float32)
    targets = tuple(range(len(maps))) if targets is None else targets
    return Evidence.of(stacked, targets, tuple(0.5 for _ in maps), tuple(stacked.shape[1:]))


def assert_same(a: Evidence, b: Evidence) -> None:
    assert np.array_equal(a.levels, b.levels)
    assert a.levels.dtype == b.levels.dtype == np.uint8
    for name in ("targets", "maxima", "scores", "size", "uncovered", "predicted"):
        assert getattr(a, name) == getattr(b, name), name
        assert type(getattr(a, name)) is type(getattr(b, name)), name


def shelf_of(discs: str, run: Path, levels_of: dict[str, np.ndarray]) -> tuple[Shelf, bc.LabelledImages]:
    """Evidence of class 0 for some of the discs."""
    run.mkdir(exist_ok=True)
    (run / "classifier.safetensors").write_bytes(b"only hashed")
    images = bc.open_images(discs, "all")
    shelf = shelf_for(run, images, "own", recipe="cam")
    for i, levels in levels_of.items():
        write_evidence(shelf, i, evidence_of(levels[None], (0,)))
    return shelf, images


def witnesses_say(discs: str, run: Path, levels_of: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Evidence of class 0 of both witnesses."""
    asked = witnessed(bc.open_images(discs, "all"), "labels")
    for n, name in enumerate(WITNESSES):
        shelf = shelf_for(run, asked, name)
        for i, levels in levels_of.items():
            write_evidence(shelf, i, evidence_of(levels[n][None], (0,)))
