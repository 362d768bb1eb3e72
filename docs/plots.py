"""The six plots of docs/results.md, drawn from the tables that stand behind them."""

from collections.abc import Callable, Sequence
from functools import partial

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tables import Measured, by, measured, tables

OURS, CAMS, PALE = "#c2410c", "#1d4ed8", "#94a3b8"
"""Saliency and recipes with it; CAM alone; what is there to compare."""

GRADIENTS = ("best", "crops of saliency", "input × gradient", "integrated gradients", "SmoothGrad")
"""The methods that are of saliency."""


def dots(axis: Axes, names: Sequence[str], figures: Sequence[Measured], colours: Sequence[str]) -> None:
    """A figure a line with its interval, the first on top."""
    for y, (figure, colour) in enumerate(zip(figures, colours, strict=True)):
        axis.plot(figure[1:], (y, y), color=colour, lw=2.5, alpha=0.45, solid_capstyle="butt")
        axis.plot(figure.value, y, "o", color=colour, ms=6)
        axis.annotate(f"{figure.value:.2f}", (figure.high, y), (5, -3.5), textcoords="offset points", size=8)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.5, -0.5)
    axis.grid(axis="x", alpha=0.3)
    axis.margins(x=0.25)
    axis.tick_params(left=False)


def colour_of(recipe: str) -> str:
    """Whether a recipe asks saliency, CAM alone, or no network."""
    if recipe.startswith(("centre", "contrast", "spectral-residual")):
        return PALE
    return CAMS if recipe.startswith(("cam", "crops-cam")) else OURS


def panels(count: int, height: float, *, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """A figure of some panels side by side."""
    figure = Figure((7.2, height), layout="constrained")
    return figure, [*figure.subplots(1, count, sharey=sharey, squeeze=False)[0]]


def recipes() -> Figure:
    """MIoU of the animals' recipes for seeds on two data sets, no mask used for τ."""
    figure, axes = panels(2, 4.2, sharey=True)
    for axis, name in zip(axes, ("animals", "digits"), strict=True):
        rows = by(tables("results/best", f"best-{name}")[0])
        figures = [measured(row["`adaptive`"]) for row in rows.values()]
        if name == "animals":
            order = sorted(range(len(rows)), key=lambda i: -figures[i].value)
            names = [list(rows)[i] for i in order]
        shown = [measured(rows[recipe]["`adaptive`"]) for recipe in names]
        dots(axis, names, shown, [colour_of(recipe) for recipe in names])
        axis.set_title(name)
        axis.set_xlabel("mIoU, τ by adaptive")
    return figure


def networks() -> Figure:
    """MIoU of networks by what they were trained on."""
    figure, (axis,) = panels(1, 1.9)
    rows = tables("results/segment", "segment-animals")[0]
    names = [row["trained on"].strip("`") for row in rows]
    figures = [measured(row["final mIoU"]) for row in rows]
    colours = [PALE if name == "truth" else colour_of(name) for name in names]
    dots(axis, names, figures, colours)
    axis.set_xlabel("mIoU on val of the network trained on these seeds")
    return figure


def thresholds() -> Figure:
    """What a threshold costs by what it was chosen on."""
    figure, axes = panels(2, 2.9, sharey=True)
    for axis, name in zip(axes, ("animals", "digits"), strict=True):
        costs, few, _ = tables("results/thresholds", f"thresholds-{name}")
        for recipe, row in by(few).items():
            masks = {int(key.split()[0]): cell for key, cell in row.items() if "masked" in key}
            colour = colour_of(recipe)
            values = [measured(cell).value for cell in masks.values()]
            axis.plot(list(masks), values, "o-", color=colour, ms=4, label=f"{recipe}, masked photos")
            blind = measured(by(costs)[recipe]["minus oracle's"])
            axis.axhline(blind.value, color=colour, ls="--", lw=1.2, label=f"{recipe}, blind: no mask")
        axis.set_xscale("log", base=2)
        axis.set_xticks(list(masks), [str(n) for n in masks])
        axis.set_title(name)
        axis.set_xlabel("masked photos of another split")
        axis.grid(alpha=0.3)
        axis.legend(fontsize=8)
    axes[0].set_ylabel("mIoU less the oracle's")
    return figure


def sizes() -> Figure:
    """Rules for τ on things of all sizes."""
    figure, axes = panels(3, 2.2, sharey=True)
    for axis, name in zip(axes, ("tiles", "digits", "animals"), strict=True):
        row = by(tables("results/size", f"size-{name}")[0])["best"]
        rules = {"adaptive": "adaptive", "blind": "blind", "best single τ": "best τ (oracle)"}
        figures = [measured(row[column if column in row else f"`{column}`"]) for column in rules.values()]
        dots(axis, list(rules), figures, [OURS, OURS, PALE])
        axis.set_title(name)
        axis.set_xlabel("mean IoU of the defects" if name == "tiles" else "mIoU")
    return figure


def methods() -> Figure:
    """Attributions and baselines on three data sets, refined alike, at the best threshold of each."""
    figure, axes = panels(3, 4.8, sharey=True)
    for axis, name in zip(axes, ("digits", "animals", "tiles"), strict=True):
        _, rows, _ = map(partial(by, column="method"), tables("methods", f"methods-{name}"))
        colours = [OURS if name in GRADIENTS else CAMS if "CAM" in name else PALE for name in rows]
        names = [name.replace(", aff", ",\naff") for name in rows]
        dots(axis, names, [measured(row["mIoU"]) for row in rows.values()], colours)
        axis.set_xlim(0, 1)
        axis.set_title(name)
    figure.supxlabel("mIoU, the best τ of each", fontsize=10)
    return figure


def refinement() -> Figure:
    """What each refinement adds to each map."""
    figure, axes = panels(4, 2.9, sharey=True)
    rows = by(tables("results/refinement", "study-refinement-animals")[0], "refinement")
    names = ["smooth", "superpixels", "resolve", "walk", "affinity", "walk+affinity", "smooth+crf"]
    for axis, of in zip(axes, ("cam", "crops-cam", "saliency", "crops"), strict=True):
        gains = [measured(rows[name][of].partition(", ")[2]) for name in names]
        dots(axis, names, gains, [colour_of(of)] * len(names))
        axis.axvline(0, color="black", lw=0.8)
        axis.set_title(of)
    figure.supxlabel("mIoU more than the map alone", fontsize=10)
    return figure


PLOTS: dict[str, Callable[[], Figure]] = {
    "plot-recipes.svg": recipes,
    "plot-networks.svg": networks,
    "plot-thresholds.svg": thresholds,
    "plot-sizes.svg": sizes,
    "plot-methods.svg": methods,
    "plot-refinement.svg": refinement,
}
