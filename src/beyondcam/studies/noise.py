"""What labels that are missing or wrong do to seeds, and to networks trained on them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from beyondcam.data import open_images
from beyondcam.errors import BeyondcamError
from beyondcam.metrics import estimate
from beyondcam.metrics.text import cell, change, estimated, signed
from beyondcam.recipes import Cookbook
from beyondcam.studies.finding import Finding, Plot, Point, Table, miou_point
from beyondcam.studies.networks import EPOCHS, network_mious
from beyondcam.studies.workspace import Setup, Workspace

KINDS = ("missing", "wrong")
RULES = ("adaptive", "oracle")

Labels = dict[str, frozenset[int]]


@dataclass(frozen=True)
class NoiseSettings:
    """Shares of the labels that are spoilt, two recipes, the second the challenger, and networks' epochs."""

    shares: tuple[float, ...] = (0.1, 0.2, 0.4)
    recipes: tuple[str, str] = ("cam-ms+walk+affinity+closer", "best")
    epochs: int = EPOCHS


def study_noise(workspace: Workspace, settings: NoiseSettings = NoiseSettings()) -> Finding:
    """Train on spoilt labels, make seeds of training images by the same labels, score them by the masks.

    A thorough budget also trains networks on these seeds, and scores them on `val`.
    """
    recipes = {name: Cookbook().recipe(name) for name in settings.recipes}
    first, second = settings.recipes
    lines: dict[str, list[Point]] = {f"{name}, {kind}": [] for name in recipes for kind in KINDS}
    networks: dict[str, list[Point]] = {name: [] for name in lines}
    rows, network_rows, differences = [], [], []
    for kind in KINDS:
        for share in (0.0, *settings.shares):
            setup = trained_on_spoilt(workspace, share, kind)
            scores = workspace.score(setup, workspace.map_images(setup, recipes))
            less = {rule: signed(scores.difference(second, first, rule=rule)) for rule in RULES}
            cells = (cell(scores.row(name, rule)) for rule in RULES for name in recipes)
            rows.append((f"{share:.0%} {kind}", *cells, *less.values()))
            for name in recipes:
                lines[f"{name}, {kind}"].append(miou_point(share, scores.row(name, "adaptive")))
            text = less["adaptive"]
            if workspace.budget.thorough:
                scored = workspace.open_setup(setup.run)
                mious = network_mious(workspace, workspace.usable(setup), scored, recipes, settings.epochs)
                network_less = change(mious[1] - mious[0])
                text += f", of networks {network_less},"
                network_rows.append((f"{share:.0%} {kind}", *map(estimated, mious), network_less))
                for name, samples in zip(recipes, mious, strict=True):
                    networks[f"{name}, {kind}"].append((share, *estimate(samples)))
            differences.append(f"{text} with {share:.0%} {kind}")
    statement = (
        f"On {workspace.notes['images']} training images, the mIoU of {second} less that of {first}, at "
        f"adaptive without witnesses, is {'; '.join(differences)}."
    )
    heads = [f"{name}, {rule}" for rule in RULES for name in recipes]
    head = ("labels", *heads, *(f"difference, {rule}" for rule in RULES))
    tables = [Table("mIoU of seeds by spoilt labels", head, rows)]
    x = "share of the labels that are spoilt"
    plots = [Plot("mIoU of seeds on training images", x, "mIoU", lines)]
    if network_rows:
        head = ("labels", *recipes, "difference")
        tables.append(Table("mIoU of networks trained on the seeds, on `val`", head, network_rows))
        plots.append(Plot("mIoU of networks trained on the seeds", x, "mIoU", networks))
    return Finding(statement, tables, plots)


def trained_on_spoilt(workspace: Workspace, share: float, kind: str) -> Setup:
    """A classifier trained on spoilt labels, and training images under the same labels."""
    config = workspace.training
    images = open_images(config.data, config.split, config.classes)
    labels = spoilt(images.labels, len(images.classes), share, kind)
    name = f"{kind if share else 'sound'}-{share}"
    run = workspace.train(name, config, replace(images, labels=labels))
    setup = workspace.open_setup(run, workspace.training_split)
    if strays := [i for i in setup.images.ids if i not in labels]:
        raise BeyondcamError(
            f"{workspace.run} was trained on {config.split}, without {strays[0]} of {setup.images.split}",
            parameter="run",
        )
    return replace(setup, images=replace(setup.images, labels=labels))


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
