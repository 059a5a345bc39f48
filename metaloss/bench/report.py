"""Results as tables."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from metaloss.bench.methods import METHODS
from metaloss.bench.results import Results, Row


def report(results: Results) -> RenderableType:
    """Return a header and a table for each case and K.

    Args:
        results: from :func:`~metaloss.bench.run.measure`.
    """
    return Group(*map(Text, header(results)), *_tables(results))


def header(results: Results) -> Iterator[str]:
    """Return lines on the machine, the versions and the settings."""
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
        yield "quick: small networks, so that these times mean nothing"


def _tables(results: Results) -> Iterator[RenderableType]:
    for case in results.settings["cases"]:
        rows = [row for row in results.rows if row.case == case]
        baselines = [row for row in rows if row.steps == 0]
        for steps in results.settings["steps"]:
            shown = baselines + [row for row in rows if row.steps == steps]
            yield Text("")
            yield table(f"{case}, K = {steps}", shown)
            yield from (Text(f"{row.method}: {row.note}") for row in shown if row.note)
            yield from map(Text, _on_real_steps(shown, steps))


def _on_real_steps(rows: list[Row], steps: int) -> Iterator[str]:
    """Say what an iteration is where no step is rehearsed."""
    names = [row.method for row in rows if row.method in METHODS and METHODS[row.method].real_steps]
    if names and steps > 1:
        yield (
            f"{', '.join(names)}: one real step, and the hypergradient through the last {steps}; "
            f"the {steps - 1} before it are ordinary steps of training and are not counted"
        )


def table(title: str, rows: list[Row]) -> Table:
    """Return the table of one case and K."""
    made = Table(title=title, title_justify="left", box=box.SIMPLE)
    made.add_column("iteration", no_wrap=True)
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
