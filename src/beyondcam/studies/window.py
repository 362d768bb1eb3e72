"""The contribution window: how far it reaches, and what its size does to CAM and saliency.

The study trains its five-layer ConvNet with F × F kernels, F = 1 … 9 (arXiv 2308.11052). Without pooling, so
that the window is 1 + 5 (F - 1) pixels, on canvases of digits at half their size.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from beyondcam.classifier import Activations, Classifier, build
from beyondcam.classifier.convnet import convnet
from beyondcam.errors import BeyondcamError
from beyondcam.maps import cam, run_forward, saliency
from beyondcam.metrics import METRICS, number
from beyondcam.perturbations import Plain
from beyondcam.recipes import Cookbook
from beyondcam.studies.bench import Bench, Subject
from beyondcam.studies.finding import Finding, Interval, Plot, Point, Table, bounded
from beyondcam.windows import contribution_window

KERNELS = (1, 3, 5, 7, 9)
DEAR = (5, 7, 9)
"""Left out on a small budget: without pooling they take most of the time."""

SIDE = 32
RECIPES = ("cam", "saliency", "saliency+smooth")
OTHERS = ("resnet50", "tf_efficientnet_lite0")

TRAININGS = 3
"""Seeds of each kernel; two on a budget of fewer than three repeats."""

EPOCHS = 9
"""The most epochs of each: unpooled, wide kernels take too long for more."""

Rows = Mapping[tuple[int, str], Sequence[Mapping[str, float | None]]]
"""(F, recipe) → its rows of scores, one a training seed."""


def window(bench: Bench) -> Finding:
    """Train each kernel with several seeds; CAM and saliency of each, and what F = 1 makes of gradients."""
    if bench.run:
        raise BeyondcamError("study window: trains the study's networks on the digits; it takes no --run")
    rows: dict[tuple[int, str], list[Mapping[str, float | None]]] = {}
    maps: dict[int, list[float | None]] = {}
    leads: dict[int, list[float]] = {}
    silent: list[dict[str, float]] = []
    kernels = [kernel for kernel in KERNELS if bench.budget.dear or kernel not in DEAR]
    for kernel in kernels:
        for seed in range(min(TRAININGS, bench.budget.repeats)):
            subject = bench.trained(
                f"kernel{kernel}-{seed}", kernel=kernel, pool=False, size=SIDE, seed=seed,
                epochs=min(EPOCHS, bench.budget.epochs),
            )  # fmt: skip
            found = bench.mapped(subject, {name: Cookbook().recipe(name) for name in RECIPES})
            scores = bench.scored(subject, found)
            for name in RECIPES:
                rows.setdefault((kernel, name), []).append(scores.row(name).metrics)
            leads.setdefault(kernel, []).append(scores.difference("saliency+smooth", "cam")[0])
            maps.setdefault(kernel, []).append(subject.mean_ap)
            if kernel == 1:
                silent.append(bench.kept(f"silent-{seed}", subject, partial(silence, subject)))

    first, last = kernels[0], kernels[-1]
    ndr, precision = (
        {f: bounded(*spread([row[metric] for row in rows[f, "saliency+smooth"]])) for f in (first, last)}
        for metric in ("ndr_recall", "fg_precision")
    )
    counts = {key: sum(own[key] for own in silent) for key in silent[0]}
    share = shares(counts)
    forced = (
        f"is zero at {share['zero where dead']} of the pixels where every feature is ({share['dead']} of all)"
        if counts["dead"]
        else "has no pixel where it must be zero, since none has every feature zero,"
    )
    statement = (
        f"Smoothed saliency at F = {first} has NDR-Recall {ndr[first]} at FG-Precision {precision[first]}, "
        f"at F = {last} {ndr[last]} at {precision[last]}; its mIoU less CAM's goes from "
        f"{bounded(*spread(leads[first]))} to {bounded(*spread(leads[last]))} (mAP {mean(maps[first])} and "
        f"{mean(maps[last])}, by chance {number(subject.chance)}; {len(leads[first])} trainings each, oracle "
        f"τ, each against its own CAM). At F = 1 the gradient {forced} and is zero at "
        f"{share['zero where A ≤ 0']} of the pixels where A ≤ 0; with a ReLU before pooling at "
        f"{share['with ReLU']} of these."
    )
    plots = [
        Plot(f"{metric.label} against F", "F", metric.label,
             {name: against({k: rows[k, name] for k in kernels}, metric.name) for name in RECIPES})
        for metric in METRICS.values()
    ]  # fmt: skip
    return Finding(statement, (scored(rows, maps, leads), windows(), silenced(silent)), plots)


def scored(
    rows: Rows, maps: Mapping[int, Sequence[float | None]], leads: Mapping[int, Sequence[float]]
) -> Table:
    """Every kernel and recipe, means over seeds with Student's interval."""
    lines = [
        (
            f"F = {kernel}, {name}",
            mean(maps[kernel]),
            *(bounded(*spread([row[metric] for row in own])) for metric in METRICS),
            bounded(*spread(leads[kernel])) if name == "saliency+smooth" else "–",
        )
        for (kernel, name), own in rows.items()
    ]
    head = ("", "mAP", *(metric.label for metric in METRICS.values()), "mIoU less cam's")
    return Table("Means over trainings with intervals over trainings, oracle τ", head, lines)


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


def silence(subject: Subject) -> dict[str, float]:
    """For F = 1: numbers of pixels, and of gradients that vanish; over all images and their targets.

    Where every feature is zero a 1×1 network passes no gradient, and else it may pass some even where A ≤ 0,
    since pooling comes before any ReLU; with a ReLU before pooling it must pass none there.
    """
    counts = dict.fromkeys(("all", "dead", "zero where dead", "A ≤ 0", "zero where A ≤ 0", "with ReLU"), 0.0)
    classifier, view = subject.classifier, Plain()
    for i in subject.images.ids:
        photo = subject.images.read(i)
        (whole,) = view.views(i, photo.height, photo.width, classifier.size, 0)
        x = classifier.normalise(whole.cut(photo.pixels))[None]
        dead = (classifier.backbone(x)[0] == 0).all(0)
        for target in subject.images.labels[i]:
            asked = (torch.arange(len(classifier.classes)) == target)[None]
            forward = run_forward(classifier, x, asked, gradient=True)
            rectified = run_forward(_Rectified(classifier), x, asked, gradient=True)
            low, still, still_rectified = (
                cam(forward)[0] == 0,
                saliency(forward)[0] == 0,
                saliency(rectified)[0] == 0,
            )
            counts["all"] += dead.numel()
            counts["dead"] += int(dead.sum())
            counts["zero where dead"] += int((still & dead).sum())
            counts["A ≤ 0"] += int(low.sum())
            counts["zero where A ≤ 0"] += int((still & low).sum())
            counts["with ReLU"] += int((still_rectified & low).sum())
    return counts


class _Rectified(Classifier):
    """A classifier whose activations pass a ReLU before they are pooled."""

    def __init__(self, classifier: Classifier) -> None:
        nn.Module.__init__(self)
        self.classifier, self.classes = classifier, classifier.classes

    def forward(self, x: Tensor) -> Activations:
        """Scores and class activations of normalised images (B, 3, H, W)."""
        activations = self.classifier(x).activations.relu()
        return Activations(activations.mean((2, 3)), activations)


def shares(counts: Mapping[str, float]) -> dict[str, str]:
    """Counts as `silence` gives them as shares, of all pixels or of those that each is among."""
    of = {
        "dead": "all",
        "zero where dead": "dead",
        "A ≤ 0": "all",
        "zero where A ≤ 0": "A ≤ 0",
        "with ReLU": "A ≤ 0",
    }
    return {
        key: f"{counts[key] / counts[whole]:.1%}" if counts[whole] else "none" for key, whole in of.items()
    }


def silenced(silent: Sequence[Mapping[str, float]]) -> Table:
    """What `silence` found, a row a seed."""
    rows = [(str(seed), *shares(own).values()) for seed, own in enumerate(silent)]
    head = ("seed", "pixels with every feature zero", "of which with zero gradient", "pixels with A ≤ 0",
            "of which with zero gradient", "of which, with ReLU before pooling")  # fmt: skip
    return Table("F = 1: where the gradient vanishes", head, rows)


def mean(values: Sequence[float | None]) -> str:
    """A mean, or a dash where a value is missing."""
    return number(spread(values)[0])


def spread(values: Sequence[float | None]) -> tuple[float | None, Interval | None]:
    """Mean over trainings and Student's 95 % interval; nothing where one of them has no value."""
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        return None, None
    mean, half = np.mean(known), stats.t.ppf(0.975, len(known) - 1) * stats.sem(known)
    return float(mean), (float(mean - half), float(mean + half))


def against(rows: Mapping[int, Sequence[Mapping[str, float | None]]], metric: str) -> list[Point]:
    """Means over trainings by F, to be plotted, where there are any."""
    found = {kernel: spread([row[metric] for row in own]) for kernel, own in rows.items()}
    return [(k, value, interval) for k, (value, interval) in found.items() if value is not None]
