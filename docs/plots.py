"""The six plots of docs/results.md, drawn from the tables that stand behind them."""

from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tables import Measured, by, measured, tables

OURS, CAMS, PALE = "#c2410c", "#1d4ed8", "#94a3b8"
"""Saliency and recipes with it; CAM alone; what is there to compare."""


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
        rows = by(tables("best", f"best-{name}")[0])
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
    rows = tables("segment", "segment-animals")[0]
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
        costs, few, _ = tables("thresholds", f"thresholds-{name}")
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
        row = by(tables("size", f"size-{name}")[0])["best"]
        rules = {"adaptive": "adaptive", "blind": "blind", "best single τ": "best τ (oracle)"}
        figures = [measured(row[column if column in row else f"`{column}`"]) for column in rules.values()]
        dots(axis, list(rules), figures, [OURS, OURS, PALE])
        axis.set_title(name)
        axis.set_xlabel("mean IoU of the defects" if name == "tiles" else "mIoU")
    return figure


def crops() -> Figure:
    """How many crops are enough."""
    figure, (axis,) = panels(1, 2.9)
    rows = by(tables("crops", "study-crops-digits")[0])
    for of, colour in (("saliency", OURS), ("cam", CAMS)):
        numbers = [int(key.split("n=")[1]) for key in rows if key.startswith(f"{of} n=")]
        values, low, high = zip(*(measured(rows[f"{of} n={n}"]["mIoU"]) for n in numbers), strict=True)
        axis.plot(numbers, values, "o-", color=colour, ms=4, label=f"crops of {of}")
        axis.fill_between(numbers, low, high, color=colour, alpha=0.12, lw=0)
    axis.set_xscale("log", base=2)
    axis.set_xticks(numbers, [str(n) for n in numbers])
    axis.set_xlabel("crops")
    axis.set_ylabel("mIoU, smoothed, oracle τ")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="lower right")
    return figure


def refinement() -> Figure:
    """What each refinement adds to each map."""
    figure, axes = panels(4, 2.9, sharey=True)
    rows = by(tables("refinement", "study-refinement-animals")[0], "refinement")
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
    "plot-crops.svg": crops,
    "plot-refinement.svg": refinement,
}
