"""What a drawn figure shows, by matplotlib's own objects."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle


def lines(axis: Axes, label: str) -> list[Line2D]:
    return [line for line in axis.lines if line.get_label() == label]


def line(axis: Axes, label: str) -> Line2D:
    (found,) = lines(axis, label)
    return found


def bars(axis: Axes) -> np.ndarray:
    """Return the left ends, widths and heights of the bars of a filled histogram."""
    found = [patch for patch in axis.patches if isinstance(patch, Rectangle)]
    return np.array([(bar.get_x(), bar.get_width(), bar.get_height()) for bar in found])


def outline(axis: Axes) -> np.ndarray:
    """Return the corners of the histogram that is drawn as an outline."""
    (found,) = (patch for patch in axis.patches if not isinstance(patch, Rectangle))
    return found.get_xy()


def entries(figure: Figure) -> list[str]:
    (legend,) = figure.legends
    return [text.get_text() for text in legend.get_texts()]


def check_readable(figure: Figure, path: Path) -> None:
    """Nothing is cut off at the edges, no titles meet, and a picture is at most 1600 wide."""
    assert figure.get_figwidth() * 150 <= 1600
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = [text.get_window_extent(renderer) for text in figure.legends[0].get_texts()]
    titles = [axis.title.get_window_extent(renderer) for axis in figure.axes]
    dpi = figure.dpi
    for box in (*boxes, *titles):
        assert box.x0 >= 0 and box.x1 <= figure.get_figwidth() * dpi
        assert box.y0 >= 0 and box.y1 <= figure.get_figheight() * dpi
    for axis in figure.axes:
        below = figure.legends[0].get_window_extent(renderer).y1
        assert axis.get_window_extent(renderer).y0 > below, "the legend covers data"
        ticks = [text.get_window_extent(renderer) for text in axis.get_xticklabels()]
        assert not any(one.overlaps(other) for one, other in pairwise(ticks))
    words = [title for axis, title in zip(figure.axes, titles, strict=True) if axis.get_title()]
    for i, one in enumerate(words):
        assert not any(one.overlaps(other) for other in words[:i])
    assert path.read_bytes().startswith(b"\x89PNG")
