"""What can be reproduced, and the grids of each target."""

from __future__ import annotations

from metaloss.gin_files import shipped
from metaloss.reproduce.published_table import TABLES

FIGURES = ("figure1", "figure2", "figure3", "figure7", "figure8", "figure9", "figure10")
TARGETS = (*TABLES, *FIGURES, "theorems")
WITHOUT_RUNS = ("figure3", "theorems")
"""The targets that are computed from formulas alone."""

SCALES = ("smoke", "laptop", "paper")
ALL = "all"


def grids(target: str, scale: str) -> list[str]:
    """Return the package's gin files with the grids of a table, one for each data set.

    Example:
        >>> from metaloss.reproduce.targets import grids
        >>> grids("table1", "laptop")
        ['reproduce/table1_laptop.gin']
    """
    files = (shipped() / "reproduce").glob(f"{target}*_{scale}.gin")
    in_order = sorted(files, key=lambda path: path.stem.split("_"))  # cifar10 before cifar100
    return [f"reproduce/{path.name}" for path in in_order]
