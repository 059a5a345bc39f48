"""The base class of adjusters."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import check_in_range, require
from metaloss.losses import Hyperparameter
from metaloss.losses.numerics import at_least_single, default_precision


class BaseAdjuster(nn.Module, ABC):
    """Predicts the hyperparameters of each sample from its features.

    Args:
        hyperparameters: the hyperparameters to predict, in the order of the columns.

    Attributes:
        num_features: number of features it reads; ``None`` if it ignores the features.
        unsaved: constructor arguments that are not saved. The loss supplies ``hyperparameters`` on
            loading; arguments that affect only the initial weights are not needed.
        awaits_progress: whether it needs ``set_progress``, which has not been called.
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
        """Return the hyperparameters of each sample, ``[batch, d']``."""

    def set_progress(self, fraction: float) -> None:
        """Set the fraction of training that is done, from 0 to 1."""

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> BaseAdjuster:
        """Move or cast it, but keep it in float32 at least, whatever the network's dtype."""
        super()._apply(at_least_single(fn), recurse)  # type: ignore[no-untyped-call]
        return self

    def bounded(
        self, logits: Float[Tensor, "batch hyperparameters"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        """Return ``low + (high - low) sigmoid(logits)``, the paper's scaling with a lower end.

        The logits are clamped, so that predictions stay 2e-12 of the range away from its ends:
        a CPU is several times slower with subnormal numbers, which gradients would become.
        """
        return torch.lerp(self.low, self.high, torch.sigmoid(logits.clamp(-27.0, 27.0)))


def row(values: Iterable[float]) -> Float[Tensor, " hyperparameters"]:
    """Return the values as a tensor of the dtype that an adjuster's weights have."""
    return torch.tensor(tuple(values), dtype=default_precision())


def check_any(hyperparameters: Sequence[Hyperparameter]) -> Sequence[Hyperparameter]:
    """Return the hyperparameters if there is at least one, else raise :class:`InputError`."""
    require(
        len(hyperparameters) > 0,
        "hyperparameters: expected one or more to predict, got none (this loss has nothing to "
        "adjust: use ConstantAdjuster)",
    )
    return hyperparameters


def values_by_name(
    hyperparameters: Sequence[Hyperparameter],
    values: Mapping[str, float],
    otherwise: Mapping[str, float],
) -> Float[Tensor, " hyperparameters"]:
    """Return the given values, checked, and those of ``otherwise`` for the other names."""
    names = [h.name for h in hyperparameters]
    require(
        isinstance(values, Mapping),
        f"values: expected a dictionary by name, such as {{{(names or ['q'])[0]!r}: 0.7}}, got "
        f"{values!r}",
    )
    for name in values:
        require(name in names, f"values: expected names of ({', '.join(names)}), got {name!r}")
    return row(
        check_in_range(h.name, values[h.name], h.low, h.high)
        if h.name in values
        else otherwise[h.name]
        for h in hyperparameters
    )
