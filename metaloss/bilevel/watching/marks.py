"""Marks of tensors, which tell whether anything has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torchopt
from torch import Tensor, nn

from metaloss.checks import InputError

Optimizer = torch.optim.Optimizer | torchopt.Optimizer
Mark = tuple[int, int]
"""The address of a tensor, and the number of in-place writes to it."""


def marks(tensors: Mapping[str, Tensor]) -> dict[str, Mark]:
    """Return the mark of each tensor; it changes when the tensor is written or replaced."""
    return {name: _mark(t) for name, t in tensors.items()}


def state_marks(optimizer: Optimizer) -> list[Mark]:
    """Return the marks of the tensors of an optimizer's state."""
    if isinstance(optimizer, torch.optim.Optimizer):
        found: Any = [value for state in optimizer.state.values() for value in state.values()]
    else:
        tree: Any = torchopt.pytree
        found = tree.tree_leaves(optimizer.state_groups)
    return [_mark(value) for value in found if isinstance(value, Tensor)]


def modes(model: nn.Module) -> list[bool]:
    """Return whether each module is in training mode."""
    return [module.training for module in model.modules()]


def _mark(tensor: Tensor) -> Mark:
    if tensor.layout != torch.strided:
        raise InputError(
            "model: expected dense gradients, got a sparse one; make the embedding with "
            "sparse=False"
        )
    return tensor.data_ptr(), tensor._version
