"""The headline difference over several trainings of the classifier, not of one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from beyondcam.metrics import ImageTally, Sweep, estimate, number, sample_weights, tallies_of
from beyondcam.metrics.text import bounded, signed
from beyondcam.recipes import Cookbook
from beyondcam.studies.finding import Finding, Table
from beyondcam.studies.workspace import Workspace

Samples = NDArray[np.float64]
"""A value in the full sample, which comes first, and in every resample."""


@dataclass(frozen=True)
class TrainingsSettings:
    """How many trainings, and the recipes, of which the last is compared with the others."""

    trainings: int = 3
    recipes: tuple[str, ...] = (
        "cam+walk+affinity+closer", "cam-ms+walk+affinity+closer", "best",
    )  # fmt: skip


def study_trainings(workspace: Workspace, settings: TrainingsSettings = TrainingsSettings()) -> Finding:
    """Train the classifier anew from several seeds, and resample trainings and images together."""
    recipes = {name: Cookbook().recipe(name) for name in settings.recipes}
    first = workspace.config.seed
    rows, mious = [], []
    for seed in range(first, first + settings.trainings):
        setup = workspace.train_setup(f"seed-{seed}", seed=seed)
        evidence = workspace.map_images(setup, recipes)
        ids = workspace.usable(setup).images.ids
        classes = len(setup.images.classes)
        of_training = [best_mious(tallies_of(s, ids, setup.masks), classes) for s in evidence.values()]
        mious.append(of_training)
        cells = (bounded(*estimate(samples)) for samples in of_training)
        rows.append((f"seed {seed}, mAP {number(setup.mean_ap)}", *cells))
        workspace.notes.setdefault("images", str(len(ids)))
    over_both = over_trainings(np.array(mious))  # (recipes, samples)
    rows.append(("all, over trainings and images", *(bounded(*estimate(samples)) for samples in over_both)))
    last, *others = reversed(list(zip(recipes, over_both, strict=True)))
    less = {name: estimate(last[1] - samples) for name, samples in reversed(others)}
    texts = [
        f"{signed((value, *(interval or (value, value))))} above {name}"
        for name, (value, interval) in less.items()
    ]
    statement = (
        f"Over {settings.trainings} trainings of the classifier and {workspace.notes['images']} images, the "
        f"mIoU of {last[0]} is {bounded(*estimate(last[1]))}, {' and '.join(texts)}; trainings and images "
        "are resampled together, and τ is the oracle's of each training and resample."
    )
    return Finding(statement, (Table("mIoU, oracle τ of each training", ("training", *recipes), rows),))


def best_mious(tallies: Iterable[ImageTally], classes: int) -> Samples:
    """The mIoU at the best τ of every sample of the images, τ being chosen anew in each."""
    sweeps = [Sweep.of([tally], classes) for tally in tallies]
    parts = [np.stack([getattr(sweep, part.name) for sweep in sweeps]) for part in fields(Sweep)]
    weights: Sequence[NDArray[np.int64]] = list(sample_weights(len(sweeps)))
    return np.array([Sweep(*(np.tensordot(w, part, 1) for part in parts)).miou().max() for w in weights])


def over_trainings(mious: Samples) -> Samples:
    """Means over trainings (trainings, recipes, samples) → (recipes, samples).

    Each resample draws as many trainings with replacement, the same for all recipes; its images are those of
    the sample.
    """
    trainings, _, samples = mious.shape
    drawn = np.random.default_rng(0).integers(trainings, size=(trainings, samples))
    drawn[:, 0] = np.arange(trainings)
    return np.take_along_axis(mious, drawn[:, None], 0).mean(0)
