"""The contribution window: how large it is, and what its size does to CAM and saliency.

arXiv 2308.11052 trains its five-layer ConvNet with F × F kernels, F = 1 … 9. Here it has no pooling, so that
the window is 1 + 5 (F - 1) pixels wide, and the canvases of digits have half their size.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from beyondcam.classifier import Activations, Classifier, build_classifier
from beyondcam.classifier.convnet import convnet
from beyondcam.errors import BeyondcamError
from beyondcam.maps import CAM, Saliency, run_forward
from beyondcam.metrics import METRICS, number
from beyondcam.metrics.bootstrap import Interval
from beyondcam.metrics.text import bounded
from beyondcam.perturbations import Plain
from beyondcam.recipes import Cookbook
from beyondcam.studies.finding import Finding, Plot, Point, Table
from beyondcam.studies.workspace import Setup, Workspace
from beyondcam.windows import contribution_window

SIDE = 32  # of the input
RECIPES = ("cam", "saliency", "saliency+smooth")


@dataclass(frozen=True)
class WindowSettings:
    """Which networks are trained, and for how long. Without pooling, large kernels take most of the time."""

    kernels: tuple[int, ...] = (1, 3, 5, 7, 9)
    slow_kernels: tuple[int, ...] = (5, 7, 9)  # left out on a quick budget
    trainings: int = 3  # at most, of each kernel, with different seeds
    epochs: int = 9  # at most
    networks: tuple[str, ...] = ("resnet50", "tf_efficientnet_lite0")  # whose window is stated too


MetricRows = Mapping[tuple[int, str], Sequence[Mapping[str, float | None]]]
"""(F, recipe) → metrics by name, of each training seed."""


def study_window(workspace: Workspace, settings: WindowSettings = WindowSettings()) -> Finding:
    """Train each kernel with several seeds; score CAM and saliency, and find zero gradients at F = 1."""
    budget = workspace.budget
    if workspace.run:
        raise BeyondcamError("study window trains its own networks; leave it out", parameter="run")
    rows: dict[tuple[int, str], list[Mapping[str, float | None]]] = {}
    mean_aps: dict[int, list[float | None]] = {}
    leads: dict[int, list[float]] = {}
    counts: list[dict[str, float]] = []
    kernels = [k for k in settings.kernels if budget.thorough or k not in settings.slow_kernels]
    for kernel in kernels:
        for seed in range(min(settings.trainings, budget.repeats)):
            setup = workspace.train_setup(
                f"kernel{kernel}-{seed}", kernel=kernel, pool=False, size=SIDE, seed=seed,
                epochs=min(settings.epochs, budget.epochs),
            )  # fmt: skip
            evidence = workspace.map_images(setup, {name: Cookbook().recipe(name) for name in RECIPES})
            scores = workspace.score(setup, evidence)
            for name in RECIPES:
                rows.setdefault((kernel, name), []).append(scores.row(name).metrics)
            leads.setdefault(kernel, []).append(scores.difference("saliency+smooth", "cam")[0])
            mean_aps.setdefault(kernel, []).append(setup.mean_ap)
            if kernel == 1:
                counts.append(workspace.cached(f"silent-{seed}", setup, partial(count_zero_gradients, setup)))

    first, last = kernels[0], kernels[-1]
    recall, precision = (
        {f: mean_text([row[metric] for row in rows[f, "saliency+smooth"]]) for f in (first, last)}
        for metric in ("ndr_recall", "fg_precision")
    )
    total = {key: sum(of_seed[key] for of_seed in counts) for key in counts[0]}
    share = zero_shares(total)
    dead = "must be zero where all features are zero, which is the case at no pixel,"
    if total["dead"]:
        dead = (
            f"is zero at {share['zero where dead']} of pixels with all features zero ({share['dead']} of all)"
        )
    statement = (
        f"At F = {first}, smoothed saliency has NDR-Recall {recall[first]} and FG-Precision "
        f"{precision[first]}, at F = {last} {recall[last]} and {precision[last]}; its mIoU minus CAM's is "
        f"{mean_text(leads[first])} and {mean_text(leads[last])} (mAP {mean_number(mean_aps[first])} and "
        f"{mean_number(mean_aps[last])}, chance level {number(setup.chance_ap)}; {len(leads[first])} "
        f"trainings each, oracle τ, each compared to its own CAM). At F = 1 the gradient {dead} and is zero "
        f"at {share['zero where A ≤ 0']} of the pixels where A ≤ 0; with a ReLU before pooling it is zero at "
        f"{share['with ReLU']} of the latter."
    )
    plots = [
        Plot(f"{metric.label} by F", "F", metric.label,
             {name: kernel_line({k: rows[k, name] for k in kernels}, metric.name) for name in RECIPES})
        for metric in METRICS.values()
    ]  # fmt: skip
    tables = (kernel_table(rows, mean_aps, leads), window_table(settings), zero_table(counts))
    return Finding(statement, tables, plots)


def kernel_table(
    rows: MetricRows, mean_aps: Mapping[int, Sequence[float | None]], leads: Mapping[int, Sequence[float]]
) -> Table:
    """Every kernel and recipe: means over training seeds with Student's interval."""
    lines = [
        (
            f"F = {kernel}, {name}",
            mean_number(mean_aps[kernel]),
            *(mean_text([row[metric] for row in by_seed]) for metric in METRICS),
            mean_text(leads[kernel]) if name == "saliency+smooth" else "–",
        )
        for (kernel, name), by_seed in rows.items()
    ]
    head = ("", "mAP", *(metric.label for metric in METRICS.values()), "mIoU minus cam's")
    return Table("Means over trainings with intervals over trainings, oracle τ", head, lines)


def window_table(settings: WindowSettings) -> Table:
    """The contribution window of one activation, computed from the network's modules."""
    rows = []
    for kernel in settings.kernels:
        plain, pooled = (contribution_window(convnet(kernel, pool=p).eval(), 64) for p in (False, True))
        rows.append((f"ConvNet, F = {kernel}", f"{plain.size:g}", f"{pooled.size:g} with its two pools"))
    for name in settings.networks:
        network = build_classifier(name, ["a"], 224).backbone
        rows.append((name, f"{contribution_window(network, 224).size:g}", "of an input of 224"))
    title = "Contribution window of one activation, pixels of the input"
    return Table(title, ("network", "window", ""), rows)


def count_zero_gradients(setup: Setup) -> dict[str, float]:
    """Numbers of pixels and of zero gradients at F = 1, over all images and their targets.

    A 1×1 network has zero gradient wherever all of its features are zero. Elsewhere its gradient may differ
    from zero even if A ≤ 0, since scores are pooled without a ReLU; with a ReLU before pooling it is zero.
    """
    counts = dict.fromkeys(("all", "dead", "zero where dead", "A ≤ 0", "zero where A ≤ 0", "with ReLU"), 0.0)
    classifier, view, saliency = setup.classifier, Plain(), Saliency()
    for i in setup.images.ids:
        photo = setup.images.read(i)
        (whole,) = view.views(i, photo.height, photo.width, classifier.size, 0)
        x = classifier.normalise(whole.cut(photo.pixels))[None]
        dead = (classifier.backbone(x)[0] == 0).all(0)
        for target in setup.images.labels[i]:
            targets = (torch.arange(len(classifier.classes)) == target)[None]
            forward = run_forward(classifier, x, targets, saliency.needs)
            rectified = run_forward(_Rectified(classifier), x, targets, saliency.needs)
            low = CAM()(forward)[0] == 0
            zero, zero_rectified = saliency(forward)[0] == 0, saliency(rectified)[0] == 0
            counts["all"] += dead.numel()
            counts["dead"] += int(dead.sum())
            counts["zero where dead"] += int((zero & dead).sum())
            counts["A ≤ 0"] += int(low.sum())
            counts["zero where A ≤ 0"] += int((zero & low).sum())
            counts["with ReLU"] += int((zero_rectified & low).sum())
    return counts


class _Rectified(Classifier):
    """A classifier whose class activations pass a ReLU before they are pooled."""

    def __init__(self, classifier: Classifier) -> None:
        nn.Module.__init__(self)
        self.classifier, self.classes = classifier, classifier.classes

    def forward(self, x: Tensor) -> Activations:
        """Scores and class activations of normalised images (B, 3, H, W)."""
        activations = self.classifier(x).activations.relu()
        return Activations(activations.mean((2, 3)), activations)


def zero_shares(counts: Mapping[str, float]) -> dict[str, str]:
    """The counts of `count_zero_gradients` as shares of all pixels, or of the pixels they are among."""
    among = {"dead": "all", "zero where dead": "dead", "A ≤ 0": "all", "zero where A ≤ 0": "A ≤ 0",
             "with ReLU": "A ≤ 0"}  # fmt: skip
    return {key: f"{counts[key] / counts[of]:.1%}" if counts[of] else "none" for key, of in among.items()}


def zero_table(counts: Sequence[Mapping[str, float]]) -> Table:
    """One row per training seed of F = 1."""
    rows = [(str(seed), *zero_shares(of_seed).values()) for seed, of_seed in enumerate(counts)]
    head = ("seed", "pixels with all features zero", "zero gradient among these", "pixels with A ≤ 0",
            "zero gradient among these", "zero gradient with ReLU before pooling")  # fmt: skip
    return Table("F = 1: where the gradient is zero", head, rows)


def mean_number(values: Sequence[float | None]) -> str:
    """A mean over trainings, as text."""
    return number(mean_with_interval(values)[0])


def mean_text(values: Sequence[float | None]) -> str:
    """A mean over trainings with its interval, as text."""
    return bounded(*mean_with_interval(values))


def mean_with_interval(values: Sequence[float | None]) -> tuple[float | None, Interval | None]:
    """Mean over trainings and Student's 95 % interval; None where a training has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None, None
    mean, half = np.mean(known), stats.t.ppf(0.975, len(known) - 1) * stats.sem(known)
    return float(mean), (float(mean - half), float(mean + half))


def kernel_line(rows: Mapping[int, Sequence[Mapping[str, float | None]]], metric: str) -> list[Point]:
    """Means over trainings by F, where there are any."""
    means = {kernel: mean_with_interval([row[metric] for row in by_seed]) for kernel, by_seed in rows.items()}
    return [(k, value, interval) for k, (value, interval) in means.items() if value is not None]
