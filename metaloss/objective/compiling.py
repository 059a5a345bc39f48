"""Calls that ``torch.compile`` leaves out of its graphs.

PyTorch's decorators for this import its compiler, which takes a second. So they are in a file of
their own, ``decorated.py``, which is imported only while ``torch.compile`` traces a call.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def outside_graph(function: Callable[[], None]) -> None:
    """Call a function uncompiled; a graph that is being compiled is split in two there."""
    if torch.compiler.is_compiling():
        from metaloss.objective.decorated import outside_graph as decorated

        decorated(function)
    else:
        function()


def once_a_graph(function: Callable[[], None]) -> None:
    """Call a function; in a compiled graph only once, while the graph is made."""
    if torch.compiler.is_compiling():
        from metaloss.objective.decorated import once_a_graph as decorated

        decorated(function)
    else:
        function()
