"""The folder of a reproduction."""

from __future__ import annotations

from pathlib import Path

from metaloss.checks import require
from metaloss.files import check_place

# How names in it begin; adjusters are in the folders of their meta-trainings.
_OWN = ("table", "figure", "theorems", "errors", "meta_", "paper_meta_")


def check_out(out: Path) -> None:
    """Refuse a folder with files of something else and none of an earlier call.

    Raises:
        InputError: it is such a folder, or nothing can be written there.
    """
    check_place(out)
    every = out.iterdir() if out.exists() else ()
    found = [entry.name for entry in every if not entry.name.startswith(".")]
    require(
        not found or any(name.startswith(_OWN) for name in found),
        f"{out}: expected a new folder or that of an earlier call, found "
        f"{', '.join(sorted(found)[:3])} of something else",
    )
