"""Scores as a table in the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from beyondcam.metrics.bootstrap import Interval
from beyondcam.metrics.metric import METRICS, number
from beyondcam.metrics.rows import NetworkRow, Row
from beyondcam.metrics.rules import RULES
from beyondcam.metrics.segments import share_of_truth
from beyondcam.metrics.supervision import Supervision

COMPARED = 3
"""Recipes whose classes are printed; the report shows those of all."""


def print_table(rows: Sequence[Row]) -> None:
    """Print rows of `scores.json`, the best of each rule first; the mIoU with its interval."""
    columns = ["τ"]
    for name, metric in METRICS.items():
        columns += [metric.heading.replace("-", "-\n"), *(["95 %"] if name == "miou" else [])]
    lines = []
    for row in sorted(rows, key=lambda r: (list(RULES).index(r.threshold_rule), -r.miou)):
        cells = [row.threshold_rule, row.recipe, number(row.threshold)]
        for name, metric in METRICS.items():
            cells.append(number(row.metrics.get(name), metric.form))
            if name == "miou":
                cells.append(_interval(row.ci["miou"]))
        lines.append([*cells, number(row.cost.seconds if row.cost else None)])
    title = "oracle thresholds are chosen on the scored masks themselves"
    _print(title, ("rule", "recipe"), (*columns, "s per\nimage"), lines)


def print_supervision(rows: Sequence[Row]) -> None:
    """Print what each recipe has seen, under the first rule of rows."""
    rule, rows = _first_rule(rows)
    _print_seen(f", rule {rule}", {row.recipe: row.supervision for row in rows})


def print_classes(rows: Sequence[Row]) -> None:
    """Print the IoU of each class, with its interval, of the best recipes under the first rule of rows."""
    rule, rows = _first_rule(rows)
    best = sorted(rows, key=lambda r: -r.miou)[:COMPARED]
    lines = []
    for name, shown in best[0].shown.items():
        ious = [f"{number(row.iou.get(name))} ({_interval(row.iou_ci.get(name))})" for row in best]
        lines.append([name, str(shown.images), number(shown.area, ".1%"), *ious])
    title = f"IoU of each class, rule {rule}; area: the median share of the picture where the class is shown"
    _print(title, ("class",), ("images", "area", *(row.recipe for row in best)), lines)


def print_segments(run: Path, rows: Sequence[NetworkRow]) -> None:
    """Print rows of `segments.json`, the best first."""
    lines = []
    for row in sorted(rows, key=lambda r: -r.miou):
        share, bounds = share_of_truth(run, row, rows) or (None, None)
        of_truth = (number(share, ".1%"), _interval(bounds))
        miou = (number(row.miou), _interval(row.ci["miou"]))
        lines.append(
            [row.name, row.supervision or "–", row.seeds_split, number(row.threshold), *miou, *of_truth]
        )
    title = "networks trained on the seeds, or on the truth as their upper bound"
    _print(title, ("network", "supervision"), ("images of", "τ", "mIoU", "95 %", "of truth's", "95 %"), lines)
    _print_seen("", {row.name: row.ledger for row in rows})


def _print_seen(rule: str, ledgers: Mapping[str, Supervision | None]) -> None:
    console = _console()
    console.print(f"What each has seen beside images and labels{rule}:")
    for name, ledger in ledgers.items():
        if ledger:
            console.print(escape(f"  {name}: {ledger}"), highlight=False)


def _print(title: str, names: Sequence[str], numbers: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    table = Table(title=title)
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        table.add_row(*map(escape, line))
    _console().print(table)


def _console() -> Console:
    return Console(width=max(112, Console().width))


def _first_rule(rows: Sequence[Row]) -> tuple[str, list[Row]]:
    """The first rule that has rows, and these."""
    rule = next(rule for rule in RULES if any(row.threshold_rule == rule for row in rows))
    return rule, [row for row in rows if row.threshold_rule == rule]


def _interval(bounds: Interval | None) -> str:
    return "–" if bounds is None else f"{bounds[0]:.3f}–{bounds[1]:.3f}"
