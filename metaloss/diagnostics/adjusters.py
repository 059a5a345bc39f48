"""Tables of learned adjusters and their held-out figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from metaloss.kinds import METRICS
from metaloss.pretrained.bundled import SHORT
from metaloss.pretrained.summary import Summary

COLUMNS = {"plain": "CE", "fixed": "default", "adjusted": "adjusted"}

COST = (
    "Cost: forward and backward pass of the criterion with 128 samples and 10\n"
    "classes, relative to nn.CrossEntropyLoss; one thread of this CPU.\n"
)


def listing(
    adjusters: Sequence[Summary], costs: Mapping[str, float] | None = None
) -> RenderableType:
    """Return a table for all adjusters that were learned on the same data with the same features.

    Args:
        adjusters: in any order.
        costs: by name, what each costs in a training step, relative to cross entropy.
    """
    costs = costs or {}
    ordered = sorted(adjusters, key=lambda each: (each.source, each.reads, each.name))
    groups = [
        list(group) for _, group in groupby(ordered, key=lambda each: (each.source, each.reads))
    ]
    tables = [part for group in groups for part in _table(group, costs)]
    return Group(
        *tables,
        Text(
            "Figures: means over noisy held-out tasks, not the same ones in each table.\n"
            "CE: cross entropy. Default: the loss with its default hyperparameters.\n"
            "An adjuster below its default here may be above it on other data, and the reverse:\n"
            "docs/reference/transfer-results.md. If you can, try the default beside.\n"
            + (COST if costs else "")
            + "To use one: metaloss.from_pretrained(NAME), metaloss transfer --adjuster NAME."
        ),
    )


def _table(group: Sequence[Summary], costs: Mapping[str, float]) -> list[RenderableType]:
    first = group[0]
    ids = "needs sample ids" if first.needs_index else "no sample ids needed"
    shown = {each.name for each in group}
    short = [name for name, whole in SHORT.items() if whole in shown]
    ids += f"; short names {', '.join(short)}" if short else ""
    metric = METRICS[first.metric]
    seeds = len(first.held_out_seeds)
    tried = f"{first.held_out_tasks} held-out tasks, {seeds} seed{'s' if seeds != 1 else ''}"
    heading = Text.assemble(
        (f"Learned on {first.source}", "bold"),
        f", {first.tasks} tasks; {ids}\nreads {', '.join(first.reads)}\n{metric.title}, {tried}",
    )
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.add_column("name", min_width=32, no_wrap=True)
    table.add_column("loss", min_width=8)
    for title in COLUMNS.values():
        table.add_column(title, justify="right")
    if costs:
        table.add_column("cost", justify="right")
    for each in group:
        best = metric.best(list(each.held_out.values())) if each.held_out else None
        cells = []
        for row in COLUMNS:
            value = each.held_out.get(row)
            said = "-" if value is None else f"{value:.1f}"
            cells.append(Text(said, "bold" if value is not None and value == best else ""))
        if costs:
            cells.append(Text(f"{costs[each.name]:.1f}"))
        table.add_row(Text(each.name), each.loss, *cells)
    return [heading, table]
