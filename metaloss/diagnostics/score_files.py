"""The files that a table of scores is written to."""

from __future__ import annotations

from pathlib import Path

from metaloss.diagnostics.figures.drawing import save
from metaloss.diagnostics.score_plot import draw_scores
from metaloss.experiments.tables.score_table import ScoreTable
from metaloss.experiments.tables.table_formats import to_csv, to_latex, to_markdown
from metaloss.files import write_together

ENDINGS = (".csv", ".md", ".tex", ".png", ".svg")


def write_table(table: ScoreTable, folder: Path) -> None:
    """Write a table as CSV, Markdown and LaTeX, and a picture of it: ``results.*``."""
    texts = {".csv": to_csv(table), ".md": to_markdown(table), ".tex": to_latex(table)}
    files = {folder / f"results{ending}": text.encode() for ending, text in texts.items()}
    write_together(files)
    picture = folder / "results.png"
    save(draw_scores(table, picture), picture.with_suffix(".svg"))
