"""The paper's figures, drawn from the folders of finished runs."""

from metaloss.diagnostics.figures.figure1 import draw_figure1
from metaloss.diagnostics.figures.figure2 import draw_figure2
from metaloss.diagnostics.figures.figure3 import draw_figure3
from metaloss.diagnostics.figures.figure7 import draw_figure7
from metaloss.diagnostics.figures.figure8 import draw_figure8
from metaloss.diagnostics.figures.figure9 import draw_figure9
from metaloss.diagnostics.figures.figure10 import draw_figure10
from metaloss.diagnostics.figures.reading import Pair

__all__ = [
    "Pair",
    "draw_figure1",
    "draw_figure2",
    "draw_figure3",
    "draw_figure7",
    "draw_figure8",
    "draw_figure9",
    "draw_figure10",
]
