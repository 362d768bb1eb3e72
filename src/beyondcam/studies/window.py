"""The contribution window: how far it reaches, and what its size does to CAM and saliency.

The study trains its five-layer ConvNet with F × F kernels, F = 1 … 9 (arXiv 2308.11052). Without pooling, so
that the window is 1 + 5 (F - 1) pixels, on canvases of digits at half their size.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from scipy import stats
from torch import Tensor

from beyondcam.classifier import Classifier, build
from beyondcam.classifier.convnet import convnet
from beyondcam.recipes import Cookbook
from beyondcam.studies.bench import Bench, Subject, row_of
from beyondcam.studies.finding import Finding, Plot, Point, Table
from beyondcam.windows import contribution_window

KERNELS = (1, 3, 5, 7, 9)
SIDE = 32
RECIPES = ("cam", "saliency", "saliency+smooth")
METRICS = {
    "miou": "mIoU",
    "dr_recall": "DR-Recall",
    "ndr_recall": "NDR-Recall",
    "fg_precision": "FG-Precision",
}
OTHERS = ("resnet50", "tf_efficientnet_lite0")

Rows = Mapping[tuple[int, str], Sequence[Mapping[str, float]]]
"""(F, recipe) → its rows of scores, one a training seed."""


def window(bench: Bench) -> Finding:
    """Train each kernel with several seeds; CAM and saliency of each, and what F = 1 makes of gradients."""
    seeds = range(max(2, bench.budget.repeats // 2 + 1))
    rows: dict[tuple[int, str], list[Mapping[str, float]]] = {}
    maps: dict[int, list[float]] = {}
    silent: list[Mapping[str, float | None]] = []
    for kernel in KERNELS:
        for seed in seeds:
            subject = bench.trained(
                f"kernel{kernel}-{seed}", data="digits", split=f"train_{bench.budget.train}",
                backbone="convnet", kernel=kernel, pool=False, size=SIDE, seed=seed,
            )  # fmt: skip
            found = bench.mapped(subject, {name: Cookbook().recipe(name) for name in RECIPES})
            scores = bench.scored(subject, found)
            for name in RECIPES:
                rows.setdefault((kernel, name), []).append(row_of(scores, name))
            maps.setdefault(kernel, []).append(subject.mean_ap)
            if kernel == 1:
                silent.append(bench.kept(f"silent-{seed}", partial(silence, subject)))

    first, last = KERNELS[0], KERNELS[-1]
    gain = spread([row["ndr_recall"] for row in rows[last, "saliency+smooth"]])
    before = spread([row["ndr_recall"] for row in rows[first, "saliency+smooth"]])
    statement = (
        f"NDR-Recall of smoothed saliency goes from {words(before)} at F = {first} (a window of one pixel; "
        f"mAP {np.mean(maps[first]):.2f}, a network that barely classifies) to {words(gain)} at F = {last} "
        f"(mAP {np.mean(maps[last]):.2f}), over {len(seeds)} trainings each. At F = {first} the gradient is "
        f"zero at all of the {percent(silent[0]['dead'])} of pixels where every feature is, and at "
        f"{percent(silent[0]['zero where A ≤ 0'])} of those where A ≤ 0; with a ReLU before pooling at "
        f"{percent(silent[0]['with ReLU'])}."
    )
    plots = [
        Plot(f"{words_} against F", "F", words_,
             {name: against({k: rows[k, name] for k in KERNELS}, metric) for name in RECIPES})
        for metric, words_ in METRICS.items()
    ]  # fmt: skip
    return Finding(statement, (scored(rows, maps), windows(), silenced(silent)), plots)


def scored(rows: Rows, maps: Mapping[int, Sequence[float]]) -> Table:
    """Every kernel and recipe, means over seeds with Student's interval."""
    lines = [
        (
            f"F = {kernel}, {name}",
            f"{np.mean(maps[kernel]):.3f}",
            *(words(spread([row[metric] for row in own])) for metric in METRICS),
        )
        for (kernel, name), own in rows.items()
    ]
    return Table(
        "Means over trainings, oracle τ (intervals over trainings)", ("", "mAP", *METRICS.values()), lines
    )


def windows() -> Table:
    """The contribution window of one activation, from the modules."""
    rows = []
    for kernel in KERNELS:
        alone, pooled = (contribution_window(convnet(kernel, pool=p).eval(), 64) for p in (False, True))
        rows.append((f"ConvNet, F = {kernel}", f"{alone.size:g}", f"{pooled.size:g} with its two pools"))
    for name in OTHERS:
        network = build(name, ["a"], 224).backbone
        rows.append((name, f"{contribution_window(network, 224).size:g}", "of an input of 224"))
    return Table(
        "Contribution window of one activation, pixels of the input", ("network", "window", ""), rows
    )


def silence(subject: Subject) -> dict[str, float | None]:
    """For F = 1: shares of pixels, and of gradients that vanish; all images and their targets.

    Where every feature is zero a 1×1 network passes no gradient, and else it may pass some even where A ≤ 0,
    since pooling comes before any ReLU; with a ReLU before pooling it must pass none there.
    """
    counts = np.zeros(6)
    for i in subject.images.ids:
        photo = subject.images.read(i).pixels[None]
        pixels = F.interpolate(photo, (SIDE, SIDE), mode="bilinear", antialias=True)
        x = subject.classifier.normalise(pixels)
        for target in subject.images.labels[i]:
            features, activation, plain, relu = gradients(subject.classifier, x, target)
            silent, low = (features == 0).all(0), activation <= 0
            found = (
                silent.sum(), (plain[silent] == 0).sum(), low.sum(), (plain[low] == 0).sum(),
                (relu[low] == 0).sum(), silent.numel(),
            )  # fmt: skip
            counts += [float(n) for n in found]
    dead, quiet, below, zero, with_relu, every = counts.tolist()
    return {
        "dead": dead / every,
        "zero where dead": quiet / dead if dead else None,
        "A ≤ 0": below / every,
        "zero where A ≤ 0": zero / below if below else None,
        "with ReLU": with_relu / below if below else None,
    }


def gradients(classifier: Classifier, x: Tensor, target: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Features (K, h, w), activation (h, w), saliency (h, w) of the score, and of one that pools relu(A)."""
    leaf = x.detach().requires_grad_()
    features = classifier.backbone(leaf)
    activation = F.conv2d(features, classifier.weight)[0, target]
    found = [
        torch.autograd.grad(pooled.mean(), leaf, retain_graph=True)[0][0].abs().amax(0)
        for pooled in (activation, activation.relu())
    ]
    return features[0].detach(), activation.detach(), *found


def silenced(silent: Sequence[Mapping[str, float | None]]) -> Table:
    """What `silence` found, a row a seed."""
    rows = [(str(seed), *(percent(value) for value in own.values())) for seed, own in enumerate(silent)]
    head = ("seed", "pixels with every feature zero", "of which with zero gradient", "pixels with A ≤ 0",
            "of which with zero gradient", "of which, with ReLU before pooling")  # fmt: skip
    return Table("F = 1: where the gradient vanishes", head, rows)


def percent(value: float | None) -> str:
    """A share, or a dash where there is none."""
    return "–" if value is None else f"{value:.1%}"


def spread(values: Sequence[float | None]) -> tuple[float, float, float]:
    """Mean over trainings and Student's 95 % interval; NaN where one of them has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return math.nan, math.nan, math.nan
    mean, half = np.mean(known), stats.t.ppf(0.975, len(known) - 1) * stats.sem(known)
    return float(mean), float(mean - half), float(mean + half)


def words(found: tuple[float, float, float]) -> str:
    """A mean and its interval."""
    return "–" if math.isnan(found[0]) else "{:.3f} [{:.3f}, {:.3f}]".format(*found)


def against(rows: Mapping[int, Sequence[Mapping[str, float]]], metric: str) -> list[Point]:
    """Means over trainings by F, to be plotted, where there are any."""
    found = {kernel: spread([row[metric] for row in own]) for kernel, own in rows.items()}
    return [(k, mean, (low, high)) for k, (mean, low, high) in found.items() if not math.isnan(mean)]
