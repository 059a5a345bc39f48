"""The theorems of the paper in numbers, as a table and a file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from metaloss.console import say
from metaloss.diagnostics.theorems import Check, check_theorems, counterexamples
from metaloss.files import csv_text, make_folder, user_path, write_atomically

SIZES = {"smoke": "small", "laptop": "full", "paper": "full"}


def reproduce_theorems(scale: str, out: Path) -> bool:
    """Check the bounds of Theorems 1 to 4, show them, and write every check to ``theorems.csv``.

    Args:
        scale: "smoke" takes seconds, the others about a minute.
        out: the folder.

    Returns:
        Whether all bounds hold, as :mod:`metaloss.theory` has them.
    """
    checks, printed = check_theorems(SIZES[scale]), counterexamples()
    console = Console()
    console.print(_summary(checks))
    console.print(_slips(printed))
    path = make_folder(user_path(out)) / "theorems.csv"
    rows = [("holds", *check) for check in checks] + [("as printed", *check) for check in printed]
    write_atomically(path, csv_text([("bounds", *Check._fields), *rows]).encode())
    say(f"results: {path}", console)
    return all(check.holds for check in checks)


def _summary(checks: Sequence[Check]) -> Table:
    """Return a line for each part of a theorem: how many checks, and how many hold."""
    table = Table(title="The bounds as metaloss.theory has them, on finite distributions")
    for heading in ("theorem", "loss", "checks", "hold", "largest share of a bound"):
        table.add_column(heading, justify="left" if heading == "loss" else "right")
    for (theorem, part), some in groupby(checks, key=lambda check: (check.theorem, check.part)):
        own = list(some)
        hold = sum(check.holds for check in own)
        table.add_row(
            f"{theorem} ({part})",
            own[0].loss.partition("(")[0],
            str(len(own)),
            Text(str(hold), "" if hold == len(own) else "bold red"),
            f"{max(map(_share, own)):.0%}",
        )
    return table


def _share(check: Check) -> float:
    """Return how much of its bound a value takes."""
    bound = check.high if check.value > 0 else check.low
    return abs(check.value / bound) if abs(bound) > 1e-9 else 0.0


def _slips(checks: Sequence[Check]) -> Table:
    table = Table(title="Statements that fail as printed (docs: The theory)", show_lines=True)
    for heading in ("theorem", "quantity", "value", "printed bounds", "what is wrong"):
        table.add_column(heading, overflow="fold")
    for check in checks:
        table.add_row(
            f"{check.theorem} ({check.part})",
            check.quantity,
            f"{check.value:.5f}",
            f"{check.low:.5f} to {check.high:.5f}",
            check.note,
        )
    return table
