"""What a study finds: sentences, tables and plots, written as JSON, as markdown and as a page."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import cycle
from pathlib import Path

import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes

from beyondcam.files import write_json, write_whole
from beyondcam.metrics import Row
from beyondcam.metrics.bootstrap import Estimate, Interval
from beyondcam.report.charts import COLOURS, frame, svg_of
from beyondcam.report.page import render

Point = tuple[float, float, Interval | None]
"""x, y, and the 95 % interval of y."""


@dataclass(frozen=True)
class Table:
    """A table of a finding.

    Attributes
    ----------
    title : what stands above it.
    head : the column headings.
    rows : rows of cells as text; the first cell names the row.

    """

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table in markdown."""
        lines = (self.head, ["---"] * len(self.head), *self.rows)
        return "\n".join((f"{self.title}:", "", *(f"| {' | '.join(line)} |" for line in lines)))


@dataclass(frozen=True)
class Plot:
    """A plot of a finding.

    Attributes
    ----------
    title : what stands above it.
    x, y : what the axes show.
    lines : name → points (x, y, 95 % interval of y or None).
    log : whether the x axis is logarithmic.
    joined : whether points are connected.

    """

    title: str
    x: str
    y: str
    lines: Mapping[str, Sequence[Point]]
    log: bool = False
    joined: bool = True

    def svg(self, prefix: str) -> Markup:
        """The plot as SVG; `prefix` makes its element ids unique on a page."""
        figure, axes = frame(self.x, self.y)
        drawn = {name: points for name, points in self.lines.items() if points}
        for (name, points), colour in zip(drawn.items(), cycle(COLOURS), strict=False):
            x, y = [p[0] for p in points], [p[1] for p in points]
            low, high = zip(*(p[2] or (p[1], p[1]) for p in points), strict=True)
            line = "-" if self.joined else ""
            axes.plot(x, y, linestyle=line, marker="o", markersize=4, color=colour, label=name)
            if self.joined:
                axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
            else:
                axes.vlines(x, low, high, color=colour)
        if self.log:
            ticks = sorted({p[0] for points in self.lines.values() for p in points})
            axes.set_xscale("log")
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
        if drawn:
            axes.legend(frameon=False)
        return svg_of(figure, prefix)


@dataclass(frozen=True)
class Dots:
    """A plot of values with their intervals, a line for each name.

    Attributes
    ----------
    title : what stands above it.
    x : what the values are.
    series : name of a series → name of a line → value and interval; all have the same lines.

    """

    title: str
    x: str
    series: Mapping[str, Mapping[str, Estimate]]

    def draw(self, axes: Axes) -> None:
        """Draw on axes, the first line on top; the first series is filled."""
        names = list(next(iter(self.series.values())))
        for n, (label, values) in enumerate(self.series.items()):
            y = np.arange(len(names))[::-1] + 0.15 * (len(self.series) - 1 - 2 * n)
            x = [value for value, _ in values.values()]
            low, high = zip(*(bounds or (value, value) for value, bounds in values.values()), strict=True)
            axes.hlines(y, low, high, color=COLOURS[n], linewidth=1.2)
            face = "white" if n else COLOURS[n]
            axes.plot(x, y, "o", markersize=5, color=COLOURS[n], markerfacecolor=face, label=label)
        axes.set_yticks(range(len(names)), names[::-1])

    def svg(self, prefix: str) -> Markup:
        """The plot as SVG; `prefix` makes its element ids unique on a page."""
        figure, axes = frame(self.x, "")
        self.draw(axes)
        figure.legend(frameon=False, loc="outside upper right", ncols=len(self.series))
        return svg_of(figure, prefix)


@dataclass(frozen=True)
class Finding:
    """The answer of a study.

    Attributes
    ----------
    statement : the answer in a few sentences.
    tables, plots : what supports it.

    """

    statement: str
    tables: Sequence[Table]
    plots: Sequence[Plot | Dots] = field(default_factory=tuple)

    def write(self, folder: Path, facts: Mapping[str, str]) -> Path:
        """Write `study.json`, `study.md` and `index.html`; return the path of the last."""
        write_json(folder / "study.json", {"facts": facts, **asdict(self)})
        text = "\n\n".join((self.statement, *(table.markdown() for table in self.tables)))
        write_whole(folder / "study.md", f"{text}\n".encode())
        drawings = [(plot.title, plot.svg(f"p{n}")) for n, plot in enumerate(self.plots)]
        page = render("study.html", finding=self, facts=facts, drawings=drawings)
        write_whole(folder / "index.html", page.encode())
        return folder / "index.html"


def miou_point(x: float, row: Row) -> Point:
    """The mIoU of a row, as a point."""
    return x, row.miou, row.ci["miou"]
