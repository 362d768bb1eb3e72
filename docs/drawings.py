"""The drawings of docs/concepts.md, each of one idea."""

from collections.abc import Callable

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import nn

import beyondcam as bc
from beyondcam.data import VOID
from beyondcam.evidence import AdaptiveThreshold, threshold_level, winners_of
from beyondcam.library import as_photo
from beyondcam.metrics.consensus import agreed, agreed_levels
from beyondcam.windows import contribution_window
from gallery import WITNESSES, evidence, grey, heat, mapped, mask, photos

Mask = NDArray[np.bool_]

DR, NDR, WRONG, GROUND = "#1d4ed8", "#f59e0b", "#9ca3af", "#f3f4f6"


def painted(*layers: tuple[Mask, str]) -> NDArray[np.float64]:
    """Masks in their colours on the ground, the later over the earlier."""
    picture = np.full((*layers[0][0].shape, 3), to_rgb(GROUND))
    for where, colour in layers:
        picture[where] = to_rgb(colour)
    return picture


def bare(axis: Axes, picture: NDArray[np.generic], title: str) -> None:
    """Show a picture under its title, without axes."""
    axis.imshow(picture)
    axis.set_title(title, fontsize=10)
    axis.set_axis_off()


def cat() -> tuple[Mask, Mask, Mask]:
    """A sitting cat as a truth, what a CAM finds of it, and what another recipe finds."""
    y, x = np.mgrid[:120, :120]

    def ellipse(cx: float, cy: float, rx: float, ry: float) -> Mask:
        return ((x - cx) / rx) ** 2 + ((y - cy) / ry) ** 2 < 1

    def ear(left: float) -> Mask:
        return (y > 10) & (y < 36) & (np.abs(x - left) < (y - 10) * 0.36)

    head = ellipse(56, 40, 19, 16) | ear(43) | ear(69)
    tail = ellipse(92, 82, 14, 26) & ~ellipse(86, 80, 9, 22)
    truth = head | ellipse(58, 82, 27, 30) | tail
    return truth, ellipse(56, 38, 25, 23), ellipse(58, 66, 33, 42) & (y > 18) & (x < 84)


def regions() -> Figure:
    """DR and NDR, and the three figures that a recipe gets by them."""
    truth, reference, seed = cat()
    found, missed = truth & reference, truth & ~reference
    figure = Figure((7.2, 2.5), layout="constrained")
    axes = figure.subplots(1, 4)
    bare(axes[0], painted((truth, "#111827")), "the truth")
    bare(axes[1], painted((reference, WRONG), (found, DR)), "the seed of a CAM")
    bare(axes[2], painted((found, DR), (missed, NDR)), "DR and NDR")
    axes[2].text(56, 42, "DR", color="white", ha="center", va="center", weight="bold")
    axes[2].text(56, 88, "NDR", color="black", ha="center", va="center", weight="bold")
    bare(axes[3], painted((seed, WRONG), (seed & found, DR), (seed & missed, NDR)), "the seed of a recipe")
    shares = {
        "DR-Recall": (seed & found).sum() / found.sum(),
        "NDR-Recall": (seed & missed).sum() / missed.sum(),
        "FG-Precision": (seed & truth).sum() / seed.sum(),
    }
    figure.supxlabel(
        "of the recipe: " + ",  ".join(f"{name} {share:.2f}" for name, share in shares.items()), fontsize=10
    )
    return figure


def window() -> Figure:
    """The pixels that one activation can reach through three convolutions, for two kernels."""
    figure = Figure((7.2, 2.5), layout="constrained")
    for axis, kernel in zip(figure.subplots(1, 2), (3, 5), strict=True):
        layers = [nn.Conv2d(3, 3, kernel, padding=kernel // 2) for _ in range(3)]
        reach = contribution_window(nn.Sequential(*layers), 32)
        half = kernel // 2
        for depth in range(4):
            inside = range(-half * (3 - depth), half * (3 - depth) + 1)
            axis.scatter(range(-8, 9), [depth] * 17, s=22, color="#d1d5db", zorder=2)
            axis.scatter(inside, [depth] * len(inside), s=26, color=DR if depth else NDR, zorder=3)
            for to in inside if depth else ():
                for step in range(-half, half + 1):
                    axis.plot((to, to + step), (depth, depth - 1), color=DR, lw=0.5, alpha=0.35)
        axis.set_title(f"F = {kernel}: a window of {reach.size} pixels")
        axis.set_yticks(range(4), ["pixels", "layer 1", "layer 2", "one activation"])
        axis.set_xticks([])
        axis.spines[:].set_visible(False)
        axis.tick_params(left=False)
    return figure


def crops() -> Figure:
    """Some of the crops of a photo, and the mean over all of them."""
    shown, maps = photos()[0], mapped()[0]
    photo = as_photo(shown.pixels)
    recipe = bc.Cookbook().recipe("crops")
    assert recipe.source is not None
    views = list(recipe.source.perturbation.views(shown.called, photo.height, photo.width, 224, 0))
    figure = Figure((7.2, 1.9), layout="constrained")
    axes = figure.subplots(1, 3)
    bare(axes[0], grey(shown.pixels), f"8 of the {len(views)} crops")
    for view, colour in zip(views[:8], mpl.colormaps["tab10"].colors, strict=False):  # type: ignore[attr-defined]
        top, left, bottom, right = view.window
        axes[0].add_patch(
            Rectangle((left, top), right - left, bottom - top, fill=False, color=colour, lw=1.8)
        )
    bare(axes[1], heat(shown.pixels, maps["saliency"]), "saliency of the photo")
    bare(axes[2], heat(shown.pixels, maps["crops"]), "saliency, mean over crops")
    return figure


def blind() -> Figure:
    """How a threshold is found where nobody drew a mask: two unlike maps, and where they agree."""
    pairs = [tuple(winners_of(evidence(maps, name)) for name in WITNESSES) for maps in mapped()]
    levels = agreed_levels((a, b) for a, b in pairs)
    shown = photos()[0]
    saliency, cam = pairs[0]
    figure = Figure((7.2, 3.6), layout="constrained")
    axes = figure.subplots(2, 2)
    for axis, winners, level, title in (
        (axes[0, 0], saliency, levels[0], "first witness: saliency"),
        (axes[0, 1], cam, levels[1], "second witness: CAM"),
    ):
        bare(axis, over(shown.pixels, (winners.levels > level, DR)), title)
    truths = [agreed((a, b), levels) for a, b in pairs]
    same = truths[0]
    bare(
        axes[1, 0],
        over(shown.pixels, (same == 1, DR), (same == VOID, NDR)),
        "the stand-in truth; amber is void",
    )
    taus = np.linspace(0, 1, 101)
    ious = [
        agreement([winners_of(evidence(m, "best")).levels for m in mapped()], truths, tau) for tau in taus
    ]
    best = int(np.argmax(ious))
    axis = axes[1, 1]
    axis.plot(taus, ious, color=DR)
    axis.plot(taus[best], ious[best], "o", color=NDR, ms=8, zorder=3)
    axis.annotate(
        f"blind: τ = {taus[best]:.2f}", (taus[best], ious[best]), (12, -3), textcoords="offset points"
    )
    axis.set_xlabel("τ of best")
    axis.set_ylabel("mIoU on the stand-in")
    return figure


def over(pixels: NDArray[np.uint8], *layers: tuple[Mask, str]) -> NDArray[np.uint8]:
    """Masks in their colours over a pale photo."""
    picture = grey(pixels).astype(np.float64)
    for where, colour in layers:
        picture[where] = 0.45 * picture[where] + 0.55 * 255 * np.array(to_rgb(colour))
    return picture.astype(np.uint8)


def agreement(levels: list[NDArray[np.uint8]], truths: list[NDArray[np.uint8]], tau: float) -> float:
    """Mean IoU of background and thing over photos, on what the witnesses agree on."""
    seed = np.concatenate([(level > threshold_level(tau)).ravel() for level in levels])
    truth = np.concatenate([truth.ravel() for truth in truths])
    seed, truth = seed[truth != VOID], truth[truth != VOID] == 1
    return float(np.mean([(a & b).sum() / (a | b).sum() for a, b in ((seed, truth), (~seed, ~truth))]))


def adaptive() -> Figure:
    """The threshold of each photo by how much of it strong evidence takes."""
    figure = Figure((7.2, 3.6), layout="constrained")
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=(1, 1.3))[:, 0]
    axis = bottom.subplots()
    area = np.linspace(0, 1, 100)
    rule = AdaptiveThreshold()
    axis.plot(area, rule.SMALL - rule.fall * area / (area + rule.HALFWAY), color=DR)
    for panel, shown, maps in zip(top.subplots(1, 3), photos(), mapped(), strict=True):
        won = winners_of(evidence(maps, "best")).won
        share = won[0, threshold_level(0.5) + 1 :].sum() / won[0].sum()
        tau = rule.values(won)[0]
        bare(panel, mask(shown.pixels, maps, "best"), f"{shown.called}: τ = {tau:.2f}")
        axis.plot(share, tau, "o", color=NDR, ms=8, zorder=3)
        axis.annotate(
            shown.called,
            (share, tau),
            (6, 6 if shown.called != "rocket" else -14),
            textcoords="offset points",
        )
    axis.set_xlabel("share of the photo with v above ½")
    axis.set_ylabel("τ")
    axis.grid(alpha=0.3)
    return figure


DRAWINGS: dict[str, Callable[[], Figure]] = {
    "concept-regions.svg": regions,
    "concept-window.svg": window,
    "concept-crops.png": crops,
    "concept-blind.png": blind,
    "concept-adaptive.png": adaptive,
}
