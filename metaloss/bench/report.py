"""Results as tables for a person."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from metaloss.bench.results import Results, Row


def report(results: Results) -> RenderableType:
    """A header, and a table for each case and K.

    Args:
        results: of :func:`~metaloss.bench.run.measure`.
    """
    return Group(*map(Text, header(results)), *_tables(results))


def header(results: Results) -> Iterator[str]:
    """What was measured on, and how."""
    machine, settings = results.machine, results.settings
    where = f"{machine['processor']}, {machine['cores']} cores, {machine['threads']} threads"
    if machine["device"] != "cpu":
        where += f"; on {machine['device']}"
    yield where
    yield ", ".join(f"{name} {number}" for name, number in results.versions.items())
    layout = ", channels last" if settings["channels_last"] else ""
    yield (
        f"batch {settings['batch']}{layout}; medians of {settings['repeats']}, "
        "a plain CE step between any two iterations; float32"
    )
    if settings["quick"]:
        yield "quick: small networks; these times say nothing"


def _tables(results: Results) -> Iterator[RenderableType]:
    for case in results.settings["cases"]:
        rows = [row for row in results.rows if row.case == case]
        baselines = [row for row in rows if row.steps == 0]
        for steps in results.settings["steps"]:
            shown = baselines + [row for row in rows if row.steps == steps]
            yield Text("")
            yield table(f"{case}, K = {steps}", shown)
            yield from (Text(f"{row.method}: {row.note}") for row in shown if row.note)


def table(title: str, rows: list[Row]) -> Table:
    """The table of one case and K.

    Args:
        title: above it.
        rows: the plain steps' and the methods'.
    """
    made = Table(title=title, title_justify="left", box=box.SIMPLE)
    made.add_column("iteration", overflow="fold")  # an adjuster's name may be long
    # At T_meta = 1 every iteration is a meta iteration: one column says both.
    for column in ("ms", "CE steps,\nepoch T=1", "epoch\nT=10", "of best\npeer", "MiB\nover CE"):
        made.add_column(column, justify="right", no_wrap=True)
    made.add_column("hypergradient\nand unroll's", min_width=13)
    for row in rows:
        made.add_row(
            row.method,
            _number(row.ms, 1),
            _number(row.ratio, 2),
            _number(row.epoch_10, 2),
            _number(row.to_fastest_peer, 2),
            _number(row.memory_mib, 0),
            Text(row.hypergradient, style="bold red" if "differs" in row.hypergradient else ""),
        )
    return made


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"
