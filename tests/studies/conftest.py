"""What the tests of studies share: a small budget, small settings, and builders."""

import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from beyondcam.perturbations import Scales
from beyondcam.segmentation import SegmentConfig
from beyondcam.studies import STUDIES, Budget, Workspace, networks, run_study
from beyondcam.studies.image_objects import ImageObject
from beyondcam.studies.rules import PREDICTORS
from conftest import TINY_NETWORK

TINY = Budget(train=40, epochs=1, images=6, repeats=2)


def settings_of(name: str) -> Any:
    """The settings of a study where none are given."""
    return inspect.signature(STUDIES.find(name).function).parameters["settings"].default


SMALL: dict[str, dict[str, Any]] = {
    "crops": {"counts": (1, 2, 4), "usual_count": 2, "drawn_images": 2, "draws": 2},
    "refinement": {
        "chains": ("", "smooth", "walk+affinity"), "sigmas": (0.01,), "superpixels": (100,),
        "backgrounds": (),
    },
    "honesty": {"images": 2, "draws": 1, "fixed": (0.1, 0.5), "reference": (0.2,)},
    "window": {"kernels": (1, 3), "networks": ()},
    "perturbations": {"tuned_on": settings_of("perturbations").tuned_on[:1]},
    "coco": {"refinements": ("", "+smooth")},
    "backbones": {"pretrained": ()},
    "trainings": {"trainings": 2, "recipes": ("cam", "saliency"), "epochs": 1},
    "noise": {"shares": (0.2,), "recipes": ("cam", "saliency"), "epochs": 1},
    "references": {"recipes": ("saliency",), "epochs": (1,)},
    "methods": {"scales": Scales(sizes=(1.0,)), "views": 1},
}  # fmt: skip
"""Settings of studies that have less to do."""

Studied = Callable[..., dict[str, Any]]


@pytest.fixture
def run(trained: tuple[Path, str]) -> Path:
    """A RUN that is studied and should not be changed."""
    return trained[0]


@pytest.fixture
def workspace(tmp_path: Path, run: Path) -> Workspace:
    """A workspace for the RUN."""
    return Workspace(tmp_path, TINY, run, lambda _: None)


@pytest.fixture
def studied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studied:
    """Run a study with small settings and `changes` to them; returns its study.json."""
    monkeypatch.setattr(networks, "SegmentConfig", partial(SegmentConfig, **TINY_NETWORK))

    def study(
        name: str,
        run: Path | None,
        beside: tuple[Path, ...] = (),
        budget: Budget = TINY,
        log: Callable[[str], None] = lambda _: None,
        **changes: object,
    ) -> dict[str, Any]:
        settings = replace(settings_of(name), **SMALL.get(name, {}) | changes)
        command = f"beyondcam study {name}"
        assert run_study(name, tmp_path, budget, run, command, log, beside, settings) == {}
        return json.loads((tmp_path / "study.json").read_text())

    return study


def image_object(n: int, cam: float, saliency: float, **predictors: float) -> ImageObject:
    """The object of image n with its IoU in the two maps of the whole image; predictors are 0 by default."""
    every = dict.fromkeys(PREDICTORS, 0.0) | predictors
    return ImageObject(f"{n}", 0, 0.1, {"smoothed cam": cam, "saliency": saliency}, every)
