"""Matplotlib's pictures as parts of a page."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from metaloss.diagnostics.figures.drawing import rendered

_SVG, _XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
# The words stay text, which a browser draws in its own font, a reader can copy and a search finds.
_STYLE: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "metaloss", "font.size": 11.0}
SERIES = "series-"
"""What the name of a group starts with that the page can hide."""


@contextmanager
def style() -> Iterator[None]:
    """Draw with the settings of a report's pictures for a while."""
    with mpl.rc_context(_STYLE):
        yield


def panel() -> tuple[Figure, Axes]:
    """Return a picture of one panel, as wide as a phone. Its margins are fixed: layout is slow."""
    figure = Figure(figsize=(4.6, 3.2))
    axis = figure.add_axes((0.175, 0.17, 0.8, 0.72))
    axis.spines[["top", "right"]].set_visible(False)
    return figure, axis


def inline(figure: Figure, label: str) -> str:
    """Return a figure as an SVG element for a page.

    It needs nothing from outside. Its names differ from those of other pictures, it is as wide as
    its place, and groups whose name starts with :data:`SERIES` have a class of that name.

    Args:
        figure: the figure, drawn inside of :func:`style`.
        label: what it shows, for those who do not see it.

    Example:
        >>> from metaloss.report.svg import inline, panel, style
        >>> with style():
        ...     figure, axis = panel()
        ...     svg = inline(figure, "nothing < something")
        >>> svg[:77]
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 331.2 230.4" role="img" '
    """
    # Letters that no font here has: the browser draws them.
    drawn = rendered(figure, format="svg", transparent=True, metadata={"Date": None})
    root = ET.fromstring(drawn)
    own = "p" + hashlib.sha256(label.encode() + drawn).hexdigest()[:10] + "-"
    _clean(root, own)
    for name in ("width", "height", "version"):
        root.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", label)
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode")


def _clean(element: ET.Element, own: str) -> None:
    """Make names unique, and drop what is of no use: the licence's links and a global style."""
    for child in list(element):
        if child.tag in {f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"}:
            element.remove(child)
        else:
            _clean(child, own)
    linked = element.attrib.pop(f"{{{_XLINK}}}href", None)
    if linked is not None:
        element.set("href", linked.replace("#", f"#{own}", 1))
    for key, value in element.attrib.items():
        if "url(#" in value:
            element.set(key, re.sub(r"url\(#", f"url(#{own}", value))
    name = element.get("id", "")
    if name.startswith(SERIES):
        del element.attrib["id"]
        element.set("class", name)
    elif name:
        element.set("id", own + name)
