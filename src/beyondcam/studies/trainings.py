"""The headline difference over several trainings of the classifier, not of one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from beyondcam.metrics import ImageTally, Sweep, number, sample_weights, tallies_of
from beyondcam.metrics.tally import drawn, iou, mean_iou
from beyondcam.metrics.text import change, estimated
from beyondcam.recipes import Cookbook
from beyondcam.studies.finding import Finding, Table
from beyondcam.studies.networks import EPOCHS, network_mious
from beyondcam.studies.workspace import Workspace

Samples = NDArray[np.float64]
"""A value in the full sample, which comes first, and in every resample."""


@dataclass(frozen=True)
class TrainingsSettings:
    """How many trainings, the recipes, of which the last is compared with the others, and the networks'."""

    trainings: int = 3
    recipes: tuple[str, ...] = (
        "cam+walk+affinity+closer", "cam-ms+walk+affinity+closer", "best",
    )  # fmt: skip
    epochs: int = EPOCHS


def study_trainings(workspace: Workspace, settings: TrainingsSettings = TrainingsSettings()) -> Finding:
    """Train the classifier anew from several seeds; intervals are over images and trainings.

    A thorough budget also trains a segmentation network on the seeds of each recipe and classifier.
    """
    recipes = {name: Cookbook().recipe(name) for name in settings.recipes}
    first = workspace.training.seed
    seeds, networks = {}, {}  # training → (recipes, samples)
    for seed in range(first, first + settings.trainings):
        setup = workspace.train_setup(f"seed-{seed}", seed=seed)
        training = f"seed {seed}, mAP {number(setup.mean_ap)}"
        evidence = workspace.map_images(setup, recipes)
        workspace.score(setup, evidence)  # which leaves out what cannot be scored
        ids = workspace.usable(setup).images.ids
        classes = len(setup.images.classes)
        workspace.notes.setdefault("images", str(len(ids)))
        seeds[training] = np.array(
            [best_mious(tallies_of(shelf, ids, setup.masks), classes) for shelf in evidence.values()]
        )
        if workspace.budget.thorough:
            trained = workspace.open_setup(setup.run, workspace.training_split)
            workspace.map_images(trained, recipes)
            trained = workspace.usable(trained)
            workspace.notes.setdefault("images that networks learn from", str(len(trained.images.ids)))
            networks[training] = network_mious(workspace, trained, setup, recipes, settings.epochs)
    statement = (
        f"Over {settings.trainings} trainings of the classifier and {workspace.notes['images']} images, the "
        f"mIoU of {differences(recipes, over_trainings(seeds.values()))}; images are resampled, trainings "
        "vary by Student's t, and τ is the oracle's of each training and resample."
    )
    tables = [samples_table("mIoU, oracle τ of each training", tuple(recipes), seeds)]
    if networks:
        statement += (
            " Of networks trained on the seeds at adaptive without witnesses, that of "
            f"{differences(recipes, over_trainings(networks.values()))}."
        )
        tables.append(samples_table("mIoU of networks trained on the seeds", tuple(recipes), networks))
    return Finding(statement, tables)


def samples_table(title: str, recipes: Sequence[str], by_training: Mapping[str, Samples]) -> Table:
    """A row per training, and one over all of them."""
    whole = {**by_training, "all, over trainings and images": over_trainings(by_training.values())}
    rows = [(name, *(estimated(samples) for samples in mious)) for name, mious in whole.items()]
    return Table(title, ("training", *recipes), rows)


def differences(recipes: Iterable[str], mious: Samples) -> str:
    """The value of the last recipe, and how far it is above each of the others, as text."""
    *others, (last, best) = zip(recipes, mious, strict=True)
    texts = [f"{change(best - samples)} above {name}" for name, samples in others]
    return f"{last} is {estimated(best)}, {' and '.join(texts)}"


def best_mious(tallies: Iterable[ImageTally], classes: int) -> Samples:
    """The mIoU at the best τ of every sample of the images, τ being chosen anew in each."""
    sweeps = [Sweep.of([tally], classes) for tally in tallies]
    parts = [np.stack([getattr(sweep, part.name) for sweep in sweeps]) for part in fields(Sweep)]
    samples = [Sweep(*(np.tensordot(w, part, 1) for part in parts)) for w in sample_weights(len(sweeps))]
    curves = [iou(sweep.intersection, sweep.predicted, sweep.true[:, None]) for sweep in samples]
    true = np.stack([sweep.true for sweep in samples])  # (samples, classes + 1)
    among = drawn(true).T[:, :, None]
    return mean_iou(np.stack(curves, 1), true.T[:, :, None], among=among).max(1)


def over_trainings(by_training: Iterable[Samples]) -> Samples:
    """Means over trainings, of (recipes, samples) each → (recipes, samples).

    Images of a sample are as before. To each resample is added how far the mean of so few trainings may be
    from that of all: a draw of Student's t, for every difference of recipes too. Drawing the trainings with
    replacement would never leave the span of the few that there are.
    """
    mious = np.stack(list(by_training))  # (trainings, recipes, samples)
    mean, (trainings, _, samples) = mious.mean(0), mious.shape
    if trainings < 2:
        return mean
    rng, freedom = np.random.default_rng(0), trainings - 1
    effects = mious[:, :, 0] - mean[:, 0]  # (trainings, recipes), of the full sample
    shares = rng.standard_normal((trainings, samples)) * np.sqrt(freedom / rng.chisquare(freedom, samples))
    shares[:, 0] = 0
    return mean + effects.T @ shares / np.sqrt(trainings * freedom)
