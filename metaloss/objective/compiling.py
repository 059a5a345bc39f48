"""Calls that ``torch.compile`` leaves out of its graphs.

PyTorch's decorators import its compiler, which takes as long as the rest of the package. So they
are applied when a call is compiled: ``torch.compile`` evaluates the imports below as it traces.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


def outside_graph(function: Callable[[], None]) -> None:
    """Calls a function, which splits a graph in two if it is compiled."""
    if torch.compiler.is_compiling():
        from metaloss.objective.decorated import outside_graph as decorated

        decorated(function)
    else:
        function()


def once_a_graph(function: Callable[[], None]) -> None:
    """Calls a function, or, if it is compiled, calls it once while the graph is made."""
    if torch.compiler.is_compiling():
        from metaloss.objective.decorated import once_a_graph as decorated

        decorated(function)
    else:
        function()
