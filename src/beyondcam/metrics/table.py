"""Scores as a table in the terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from beyondcam.metrics.rows import NetworkRow, Row
from beyondcam.metrics.segments import share_of_truth


def print_table(rows: Sequence[Row]) -> None:
    """Print rows of `scores.json`, the best of each rule first."""
    table = Table(title="oracle thresholds are chosen on the scored masks themselves")
    for column in ("rule", "recipe"):
        table.add_column(column, no_wrap=True)
    for column in ("τ", "mIoU", "95 %", "DR-\nRecall", "NDR-\nRecall", "FG-\nPrecision", "s per\nimage"):
        table.add_column(column, justify="right", no_wrap=True)
    rules = ("fixed", "blind", "few", "train", "oracle")
    for row in sorted(rows, key=lambda r: (rules.index(r.threshold_rule), -r.miou)):
        table.add_row(
            row.threshold_rule,
            row.recipe,
            f"{row.threshold:.3f}",
            f"{row.miou:.3f}",
            _interval(row.ci["miou"]),
            *(_share(row.metrics.get(metric)) for metric in ("dr_recall", "ndr_recall", "fg_precision")),
            f"{row.cost.seconds:.3f}" if row.cost else "–",
        )
    Console(width=max(112, Console().width)).print(table)


def print_segments(run: Path, rows: Sequence[NetworkRow]) -> None:
    """Print rows of `segments.json`, the best first."""
    table = Table(title="networks trained on the seeds, or on the truth as their upper bound")
    table.add_column("network", no_wrap=True)
    for column in ("images of", "τ", "mIoU", "95 %", "of truth's", "95 %"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in sorted(rows, key=lambda r: -r.miou):
        share = share_of_truth(run, row, rows)
        table.add_row(
            row.name,
            row.seeds_split,
            _share(row.threshold),
            f"{row.miou:.3f}",
            _interval(row.ci["miou"]),
            *((f"{share[0]:.1%}", _interval(share[1])) if share else ("–", "–")),
        )
    Console(width=max(112, Console().width)).print(table)


def _interval(bounds: Sequence[float] | None) -> str:
    return "–" if bounds is None else f"{bounds[0]:.3f}–{bounds[1]:.3f}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
