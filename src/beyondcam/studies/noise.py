"""What labels that are missing or wrong do to seeds."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from beyondcam.classifier import train_classifier
from beyondcam.data import open_images
from beyondcam.files import read_json
from beyondcam.metrics.text import cell, signed
from beyondcam.recipes import Cookbook
from beyondcam.studies.finding import Finding, Plot, Point, Table, miou_point
from beyondcam.studies.workspace import Workspace

KINDS = ("missing", "wrong")
RULES = ("adaptive", "oracle")

Labels = dict[str, frozenset[int]]


@dataclass(frozen=True)
class NoiseSettings:
    """Shares of the labels that are spoilt, and the two recipes, of which the second is the challenger."""

    shares: tuple[float, ...] = (0.1, 0.2, 0.4)
    recipes: tuple[str, str] = ("cam-ms+walk+affinity+closer", "best")


def study_noise(workspace: Workspace, settings: NoiseSettings = NoiseSettings()) -> Finding:
    """Train on spoilt labels, make seeds of training images by the same labels, score them by the masks."""
    config = workspace.config
    recipes = {name: Cookbook().recipe(name) for name in settings.recipes}
    images = open_images(config.data, config.split, config.classes)
    lines: dict[str, list[Point]] = {f"{name}, {kind}": [] for name in recipes for kind in KINDS}
    rows, differences = [], []
    for kind in KINDS:
        for share in (0.0, *settings.shares):
            labels = spoilt(images.labels, len(images.classes), share, kind)
            run = workspace.folder / f"{kind if share else 'sound'}-{share}"
            training = run / "training.json"
            if not training.exists() or "val_map" not in read_json(training, "beyondcam study"):
                workspace.log(f"training {run.name}")
                workspace.left_out |= train_classifier(
                    replace(images, labels=labels), config, run, fabric=workspace.fabric, log=workspace.log
                )
            setup = workspace.open_setup(run, workspace.training_split)
            setup = replace(setup, images=replace(setup.images, labels=labels))
            scores = workspace.score(setup, workspace.map_images(setup, recipes))
            first, second = settings.recipes
            less = {rule: signed(scores.difference(second, first, rule=rule)) for rule in RULES}
            cells = (cell(scores.row(name, rule)) for rule in RULES for name in recipes)
            rows.append((f"{share:.0%} {kind}", *cells, *less.values()))
            differences.append(f"{less['adaptive']} with {share:.0%} {kind}")
            for name in recipes:
                lines[f"{name}, {kind}"].append(miou_point(share, scores.row(name, "adaptive")))
    heads = [f"{name}, {rule}" for rule in RULES for name in recipes]
    head = ("labels", *heads, *(f"difference, {rule}" for rule in RULES))
    statement = (
        f"On {workspace.notes['images']} training images, the mIoU of {second} less that of {first}, at the "
        f"default threshold, is {'; '.join(differences)}."
    )
    plot = Plot("mIoU of seeds on training images", "share of the labels that are spoilt", "mIoU", lines)
    return Finding(statement, (Table("mIoU of seeds by spoilt labels", head, rows),), (plot,))


def spoilt(labels: Mapping[str, Collection[int]], classes: int, share: float, kind: str) -> Labels:
    """Each label with this probability left out ("missing"), or turned into one the image lacks ("wrong").

    Every label and image has its own draw, so that a larger share spoils what a smaller one does, and more.
    """
    rng = np.random.default_rng(0)
    result: Labels = {}
    for i, own in labels.items():
        kept = set(own)
        for c in sorted(own):
            drawn, other = rng.random(), rng.random()
            if drawn < share:
                kept.remove(c)
                lacking = sorted(set(range(classes)).difference(own, kept))
                if kind == "wrong" and lacking:
                    kept.add(lacking[int(other * len(lacking))])
        result[i] = frozenset(kept)
    return result
