"""Reports on a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from metaloss.diagnostics.gradients.layers import Layer
from metaloss.diagnostics.gradients.report import Report


def show(console: Console, name: str, report: Report) -> None:
    """Print a report."""
    console.print(checks_table(name, report))
    if report.layers:
        console.print(layers_table(report.layers))
    for note in report.notes:
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def checks_table(name: str, report: Report) -> Table:
    """Return the table of the comparisons."""
    through = "1 step" if report.steps == 1 else f"{report.steps} steps"
    table = Table(title=f"{name}: hypergradient through {through}, of length {report.length:.1e}")
    table.add_column("check")
    for column in ("relative error", "threshold"):
        table.add_column(column, justify="right")
    table.add_column("")
    for check in report.checks:
        error = "-" if check.error is None else f"{check.error:.1e}"
        threshold = f"{check.threshold:.0e}" if check.threshold else "-"
        style = None if check.status == "ok" else "dim" if check.status == "skipped" else "bold red"
        table.add_row(check.name, error, threshold, check.status, style=style)
    return table


def layers_table(layers: Sequence[Layer]) -> Table:
    """Return the table of the layers that are furthest apart, in the order of the forward pass.

    ``mixed`` finds a layer's part by forward mode, ``unroll`` by double backward.

    Args:
        layers: all layers, of which ten are shown.
    """
    furthest = sorted(layers, key=lambda layer: -max(_known(layer.errors), default=0.0))[:10]
    hessian = any(layer.hessian is not None for layer in layers)
    columns = ["length", "mixed/unroll", "mixed/diff.", "unroll/diff.", *["Hessian"] * hessian]
    table = Table(title="Layers' parts of the first step's hypergradient, the longest of length 1")
    table.add_column("layer")
    for column in columns:
        table.add_column(column, justify="right")
    for layer in sorted(furthest, key=lambda layer: layer.order):
        errors = layer.errors[: len(columns) - 1]
        shown = ["-" if error is None else f"{error:.1e}" for error in errors]
        table.add_row(layer.label, f"{layer.share:.2g}", *shown)
    return table


def _known(errors: Sequence[float | None]) -> list[float]:
    return [error for error in errors if error is not None]
