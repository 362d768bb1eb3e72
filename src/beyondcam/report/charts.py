"""Two charts as inline SVG: mIoU over the threshold, and the recalls over the reference's threshold."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from beyondcam.metrics import REFERENCE, number
from beyondcam.metrics.rows import Curve, Row
from beyondcam.report.groups import Group

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#000000")
_DASHES = ((), (5, 1.5), (1.5, 1.5), (6, 1.5, 1.5, 1.5))
_MARKERS = {"train": ("o", "●"), "few": ("^", "▲"), "blind": ("v", "▼"), "fixed": ("s", "■")}
_HOLLOW = ("D", "◇")  # the oracle's, which is not to be believed


@dataclass(frozen=True)
class Line:
    """How a recipe is drawn, and its entry in a legend."""

    recipe: str
    colour: str
    dash: Sequence[float]
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """A drawing and the words around it."""

    svg: Markup
    lead: str
    """What the legend's numbers are."""
    lines: Sequence[Line]
    markers: Mapping[str, str]
    """rule → the sign that marks it."""


def threshold_chart(group: Group, prefix: str) -> Chart | None:
    """MIoU over τ, a line a recipe."""
    figure, axes = frame("threshold τ on the evidence v (square-root scale)", "mIoU")
    axes.set_xscale("function", functions=(lambda x: np.sqrt(np.clip(x, 0, None)), np.square))
    axes.set_xticks([0, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.6, 0.8, 1], minor=False)
    axes.set_xlim(0, 1)
    lines, rules = list[Line](), set[str]()
    for _, curve, line in _drawn(group):
        _draw(axes, line, np.array(curve.threshold), np.array(curve.miou), curve.levels)
        rules |= curve.levels.keys()
        lines.append(replace(line, note=_first_mark(curve, group)))
    axes.set_ylim(0)
    lead = "mIoU of each recipe at one τ for all images, and the rule that chose it:"
    return _chart(figure, lead, lines, rules, group, prefix)


def _first_mark(curve: Curve, group: Group) -> str:
    """Where a curve is marked by its most trustworthy rule; a τ of each image has no place on it."""
    for rule in group.rules:
        if rule in curve.levels:
            level = curve.levels[rule]
            return f"{curve.miou[level]:.3f}, τ {number(curve.threshold[level])}, {rule}"
    return ""


def recall_chart(group: Group, prefix: str) -> Chart | None:
    """NDR-Recall against DR-Recall, each recipe at its oracle τ, over the reference's τ."""
    figure, axes = frame("DR-Recall", "NDR-Recall")
    lines, rules = list[Line](), set[str]()
    precision = {row.recipe_hash: row.metrics.get("fg_precision") for row in group.under("oracle")}
    for row, curve, line in _drawn(group):
        value, levels = precision.get(row.recipe_hash), curve.reference_levels
        if levels is not None and value is not None:
            x, y = (np.array(recalls, float) for recalls in (curve.dr_recall, curve.ndr_recall))
            _draw(axes, line, x, y, levels)
            rules |= levels.keys()
            lines.append(replace(line, note=f"{value:.3f}"))
    left = axes.get_xlim()[0]
    axes.set_xlim(left, 1 + 0.015 * (1 - left))  # room for a line at 1, none for a tick past it
    axes.set_ylim(-0.02)
    return _chart(figure, "FG-Precision of each recipe at its oracle τ:", lines, rules, group, prefix)


def _drawn(group: Group) -> list[tuple[Row, Curve, Line]]:
    """Row, curve and line of each recipe to be drawn; the reference is black."""
    curves = {curve.recipe_hash: curve for curve in group.curves}
    names = [row.recipe for row in group.shown if row.recipe != REFERENCE]
    lines = {
        name: Line(name, COLOURS[n % len(COLOURS)], _DASHES[n % len(_DASHES)]) for n, name in enumerate(names)
    }
    lines[REFERENCE] = Line(REFERENCE, "#000000", ())
    return [
        (row, curves[row.recipe_hash], lines[row.recipe])
        for row in group.shown
        if row.recipe_hash in curves
    ]  # fmt: skip


def frame(x: str, y: str) -> tuple[Figure, Axes]:
    """An empty chart."""
    figure = Figure((6.4, 4.4), layout="constrained")
    axes = figure.subplots()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(color="#e4e4e4", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _draw(axes: Axes, line: Line, x: np.ndarray, y: np.ndarray, levels: Mapping[str, int]) -> None:
    style = (0, tuple(line.dash)) if line.dash else "-"
    front = 4 if line.recipe == REFERENCE else 3
    axes.plot(x, y, color=line.colour, linestyle=style, linewidth=1.7, zorder=front)
    for rule, level in levels.items():
        face = line.colour if rule in _MARKERS else "white"
        axes.plot(
            x[level], y[level], marker=_MARKERS.get(rule, _HOLLOW)[0], markersize=6.5, zorder=front + 2,
            color=line.colour, markerfacecolor=face, linestyle="none", clip_on=False,
        )  # fmt: skip


def _chart(
    figure: Figure, lead: str, lines: list[Line], rules: set[str], group: Group, prefix: str
) -> Chart | None:
    if not lines:
        return None
    markers = {rule: _MARKERS.get(rule, _HOLLOW)[1] for rule in group.rules if rule in rules}
    return Chart(svg_of(figure, prefix), lead, lines, markers)


def svg_of(figure: Figure, prefix: str) -> Markup:
    """The drawing with ids that no other drawing on the page has, the same in every run."""
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = out.getvalue()
    numbers: dict[str, int] = {}

    def rename(match: re.Match[str]) -> str:
        return f"{match[1]}{prefix}-{numbers.setdefault(match[2], len(numbers))}"

    return Markup(re.sub(r'(\bid="|href="#|url\(#)([^")]+)', rename, svg[svg.index("<svg") :]))  # noqa: S704
