"""The commands that show what was learned: finished runs on a page, and a list of adjusters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="The folders of one or more experiments."),
    ],
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            help="The file to write.",
            show_default="RUN/report.html, or RUN/comparison.html for several",
        ),
    ] = None,
) -> None:
    """Write one HTML page about finished runs: table, warnings, curves and what was learned.

    The page needs no other file and no network. Several runs stand in one table and one set of
    charts.
    """
    from metaloss.console import say
    from metaloss.report import write_report

    say(f"report: {write_report(runs, out)}")


def adjusters(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: one object for each adjuster.")
    ] = False,
    cost: Annotated[
        bool, typer.Option("--cost", help="Also measure what each costs in a training step.")
    ] = False,
) -> None:
    """List the learned adjusters of the package: loss, features, data and held-out figures."""
    import json

    from metaloss.diagnostics.adjusters import listing
    from metaloss.pretrained import from_pretrained, list_pretrained
    from metaloss.pretrained.summary import summary

    found = [summary(each) for each in list_pretrained()]
    costs: dict[str, float] = {}
    if cost:
        from metaloss.diagnostics.criterion_cost import criterion_costs

        costs = criterion_costs({each.name: from_pretrained(each.name) for each in found})
    if as_json:
        rows = [each._asdict() | ({"cost": costs[each.name]} if cost else {}) for each in found]
        typer.echo(json.dumps(rows, indent=1))
    else:
        Console().print(listing(found, costs), highlight=False)
