"""Snapshots of state, to check that a call changes nothing."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def same(one: Any, other: Any) -> bool:
    """Return whether two nested structures of tensors and plain values are exactly equal."""
    if isinstance(one, Tensor):
        return (
            isinstance(other, Tensor)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and torch.equal(one, other)
        )
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def of_module(module: nn.Module) -> dict[str, Any]:
    """Return copies of a module's tensors, gradients and modes."""
    return {
        "parameters": {n: p.detach().clone() for n, p in module.named_parameters()},
        "buffers": {n: b.detach().clone() for n, b in module.named_buffers()},
        "gradients": {n: copy.deepcopy(p.grad) for n, p in module.named_parameters()},
        "trainable": {n: p.requires_grad for n, p in module.named_parameters()},
        "training": {n: m.training for n, m in module.named_modules()},
    }


def identities(module: nn.Module) -> dict[str, int]:
    """Return the identity of each tensor that a module holds."""
    return {
        **{n: id(p) for n, p in module.named_parameters()},
        **{n: id(b) for n, b in module.named_buffers()},
    }
