"""The command that writes a page about finished runs."""

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
        Path | None, typer.Option(help="The file to write.", show_default="RUN/report.html")
    ] = None,
) -> None:
    """Write one HTML page about finished runs: table, warnings, curves and what was learned.

    The page needs no other file and no network. Several runs stand in one table and one set of
    charts.
    """
    from metaloss.report import write_report

    path = write_report(runs, out)
    Console().print(f"report: {path}", soft_wrap=True, highlight=False, markup=False)
