"""What may be a meta loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from metaloss import meta_losses
from metaloss.checks import InputError
from metaloss.losses import LossFamily
from metaloss.meta_losses import MetaLoss

MetaLossFunction = Callable[[Tensor, Tensor], Tensor]
"""A :class:`~metaloss.meta_losses.MetaLoss`, or a function of outputs and targets like one."""


def checked_meta_loss(meta_loss: Any) -> MetaLossFunction | None:
    """Return a meta loss, if it can be one.

    Raises:
        InputError: it is a loss family, a class, or anything else that is not called with outputs
            and targets.

    Example:
        >>> from metaloss.bilevel.meta_loss import checked_meta_loss
        >>> from metaloss.losses import GCE
        >>> checked_meta_loss(GCE())
        Traceback (most recent call last):
            ...
        metaloss.checks.InputError: meta_loss: expected a meta loss, got the loss family GCE; \
metaloss.meta_losses.MeanLoss(GCE()) makes a meta loss of it
    """
    if meta_loss is None:
        return None
    got, advice = repr(meta_loss), "give one of metaloss.meta_losses"
    if isinstance(meta_loss, type):
        got, advice = f"the class {meta_loss.__name__}", f"write {meta_loss.__name__}()"
    elif isinstance(meta_loss, LossFamily):
        name = type(meta_loss).__name__
        got = f"the loss family {name}"
        advice = f"metaloss.meta_losses.MeanLoss({name}()) makes a meta loss of it"
        if hasattr(meta_losses, name):  # MAE and CrossEntropy are both
            advice = f"the meta loss is metaloss.meta_losses.{name}()"
    elif isinstance(meta_loss, MetaLoss) and not hasattr(meta_loss, "symmetric"):
        got, advice = f"{got}, which does not say whether it is symmetric", "set `symmetric` in it"
    elif callable(meta_loss):
        found: MetaLossFunction = meta_loss
        return found
    raise InputError(f"meta_loss: expected a meta loss, got {got}; {advice}")
