"""From features to hyperparameters, inside their ranges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import check_in_range, require
from metaloss.losses import Hyperparameter
from metaloss.losses.numerics import at_least_single


class BaseAdjuster(nn.Module, ABC):
    """Predicts the hyperparameters of each sample from its features.

    Args:
        hyperparameters: what to predict, in the order of the columns.

    Attributes:
        num_features: columns it reads; ``None`` if it reads none and takes any.
        unsaved: constructor arguments that are not written when it is saved: the loss supplies the
            hyperparameters, and what only shapes the first weights is of no use to a reader.
        awaits_progress: whether it does something else as training goes, and has not been told how
            far training has come.
    """

    unsaved: ClassVar[tuple[str, ...]] = ("hyperparameters",)
    awaits_progress: bool = False
    num_features: int | None = None
    low: Tensor
    high: Tensor

    def __init__(self, hyperparameters: Sequence[Hyperparameter]) -> None:
        super().__init__()
        self.hyperparameters = tuple(hyperparameters)
        self.register_buffer("low", row(h.low for h in hyperparameters), persistent=False)
        self.register_buffer("high", row(h.high for h in hyperparameters), persistent=False)

    @abstractmethod
    def forward(
        self, features: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        """The hyperparameters of each sample, ``[batch, d']``."""

    def set_progress(self, fraction: float) -> None:
        """Take note of how much of training is done, from 0 to 1."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BaseAdjuster:
        """Move or cast it, but keep it in single precision at least, whatever the network is in."""
        super()._apply(at_least_single(fn), recurse)  # type: ignore[no-untyped-call]
        return self

    def bounded(
        self, logits: Float[Tensor, "batch hyperparameters"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        """``low + (high - low) sigmoid(logits)``: the paper's scale ``s``, with a lower end.

        No nearer to an end than 2e-12 of the way: a weight below the smallest normal number makes
        gradients like it, with which a CPU takes several times as long.
        """
        return self.low + (self.high - self.low) * torch.sigmoid(logits.clamp(-27.0, 27.0))


def row(values: Iterable[float]) -> Float[Tensor, " hyperparameters"]:
    """One value a hyperparameter, of torch's default dtype, as a layer's weights are."""
    return torch.tensor(tuple(values), dtype=torch.get_default_dtype())


def some(hyperparameters: Sequence[Hyperparameter]) -> Sequence[Hyperparameter]:
    """The hyperparameters, if there is one to predict."""
    require(
        len(hyperparameters) > 0,
        "hyperparameters: expected one or more to predict, got none (this loss has nothing to "
        "adjust: use ConstantAdjuster)",
    )
    return hyperparameters


def chosen(
    hyperparameters: Sequence[Hyperparameter],
    values: Mapping[str, float],
    otherwise: Mapping[str, float],
) -> Float[Tensor, " hyperparameters"]:
    """The values given by name, checked, with ``otherwise`` for the rest."""
    names = [h.name for h in hyperparameters]
    for name in values:
        require(name in names, f"values: expected names of ({', '.join(names)}), got {name!r}")
    return row(
        check_in_range(h.name, values[h.name], h.low, h.high)
        if h.name in values
        else otherwise[h.name]
        for h in hyperparameters
    )
