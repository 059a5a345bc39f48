"""Runs without pictures and pages, which take longer than the small trainings of the tests."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from PIL import Image

from metaloss import runner
from metaloss.diagnostics import Learned, score_files
from metaloss.diagnostics.figures.drawing import rendered, save
from metaloss.experiments.tables.score_table import ScoreTable
from metaloss.labels import judge_run as labels

_REPLACED = pytest.MonkeyPatch()


def choose(*, pictures: bool, pages: bool) -> None:
    """Draw pictures and write pages from here on, or write something in their place."""
    _REPLACED.undo()
    if not pages:
        _REPLACED.setattr(runner, "write_report", lambda folders, components: "not drawn")
    if not pictures:
        _REPLACED.setattr(Figure, "savefig", _placeholder)
        # Laying out the panels of these takes as long as drawing them.
        _REPLACED.setattr(labels, "contact_sheet", lambda pictures: rendered(Figure()))
        _REPLACED.setattr(runner, "draw_learned", _blank)
        _REPLACED.setattr(score_files, "draw_scores", _blank)


def _blank(shown: Sequence[Learned] | ScoreTable, path: str | Path) -> Figure:
    """Write a picture without panels."""
    assert shown
    save(Figure(), path)
    return Figure()


def _placeholder(
    figure: Figure, file: io.BytesIO, *args: Any, format: str = "png", **kwargs: Any
) -> None:
    """Write a picture of one pixel."""
    del figure, args, kwargs
    if format == "svg":
        file.write(b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"></svg>')
    else:
        Image.new("L", (1, 1)).save(file, format.upper())
