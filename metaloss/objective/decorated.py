"""Functions with the decorators of PyTorch's compiler, see ``compiling.py``."""

from __future__ import annotations

from collections.abc import Callable

import torch


@torch.compiler.disable  # type: ignore[untyped-decorator]
def outside_graph(function: Callable[[], None]) -> None:
    """Call a function outside of a graph."""
    function()


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def once_a_graph(function: Callable[[], None]) -> None:
    """Call a function while a graph is made."""
    function()
