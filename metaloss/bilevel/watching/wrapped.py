"""Looks inside of what other libraries wrap around a network or an optimizer."""

from __future__ import annotations

from torch import nn
from torch.nn.parallel import DistributedDataParallel

from metaloss.bilevel.watching.marks import Optimizer
from metaloss.checks import InputError

_FABRIC = ("lightning_fabric.", "lightning.fabric.")
_REFUSED = ("torch.nn.parallel", "torch.distributed", "deepspeed")


def unwrapped(model: nn.Module) -> nn.Module:
    """Return the network that ``torch.compile``, data parallelism or Fabric has wrapped.

    Raises:
        InputError: a wrapper that splits the weights or the batch in another way than
            ``DistributedDataParallel``.

    Example:
        >>> import torch
        >>> from metaloss.bilevel.watching.wrapped import unwrapped
        >>> network = torch.nn.Linear(2, 2)
        >>> unwrapped(network) is network
        True
    """
    while True:
        inside = getattr(model, "_orig_mod", None)  # of torch.compile
        if isinstance(model, DistributedDataParallel) or _of_fabric(model):
            inside = model.module
        if not isinstance(inside, nn.Module):
            break
        model = inside
    for module in model.modules():
        kind = type(module)
        if kind.__module__.startswith(_REFUSED):
            raise InputError(
                f"model: expected a network of which each process holds the whole, as in "
                f"DistributedDataParallel, got {kind.__name__}, which splits its weights or its "
                "batch in another way"
            )
    return model


def unwrapped_optimizer(optimizer: Optimizer) -> Optimizer:
    """Return the optimizer that Fabric has wrapped, or the optimizer itself."""
    inside: Optimizer = getattr(optimizer, "optimizer", optimizer)
    return inside if _of_fabric(optimizer) else optimizer


def _of_fabric(value: object) -> bool:
    kinds = type(value).__mro__
    return any(f"{kind.__module__}.".startswith(_FABRIC) for kind in kinds)
