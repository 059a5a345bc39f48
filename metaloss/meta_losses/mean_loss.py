"""Any loss family with fixed hyperparameters as a meta loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.checks import InputError, check_made, require
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses import Fixed, LossFamily
from metaloss.losses.numerics import full_precision
from metaloss.meta_losses.base import MetaLoss
from metaloss.theory import is_symmetric
from metaloss.types import Outputs, Targets


@dataclass(frozen=True)
class MeanLoss(MetaLoss):
    """The mean of a loss family with fixed hyperparameters.

    Args:
        loss: the loss family.
        values: hyperparameter values by name; the others have their defaults.

    Raises:
        InputError: an unknown name, or a value out of range.

    Example:
        >>> from metaloss.losses import GCE, SL, ActivePassive
        >>> from metaloss.meta_losses import MeanLoss
        >>> MeanLoss(GCE(), {"q": 0.7}).symmetric, MeanLoss(GCE(), {"q": 1.0}).symmetric
        (False, True)
        >>> MeanLoss(SL(), {"gamma_1": 0.0}).symmetric, MeanLoss(ActivePassive()).symmetric
        (True, True)
    """

    loss: LossFamily
    values: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        """Check the values, and hold every hyperparameter fixed."""
        check_made("loss", self.loss, LossFamily)
        require(
            self.values is None or isinstance(self.values, Mapping),
            f"values: expected a dictionary by name, such as {{'q': 0.7}}, got {self.values!r}",
        )
        defaults = {h.name: h.default for h in self.loss.hyperparameters}
        fixed = Fixed(self.loss, {**defaults, **(self.values or {})})
        object.__setattr__(self, "values", fixed.values)  # a mapping that can be hashed

    @cached_property
    def symmetric(self) -> bool:  # type: ignore[override]
        """Whether the sum over all labels is the same for several random outputs.

        A loss that takes a certain number of classes only counts as not symmetric.
        """
        try:
            return is_symmetric(self.loss, self.values)
        except InputError:
            return False

    @cached_property
    def noise_tolerant(self) -> bool:
        """Whether it is symmetric; for regression, whether its slope is bounded."""
        if self.loss.kind == CLASSIFICATION:
            return self.symmetric
        with torch.device("cpu"), torch.enable_grad():
            errors = torch.tensor([[1e3], [1e6]], dtype=torch.float64, requires_grad=True)
            losses = self.per_sample(errors, torch.zeros_like(errors))
            (slopes,) = torch.autograd.grad(losses.sum(), errors)
        near, far = slopes.abs().flatten().tolist()
        return far <= 1.01 * near

    def fits(self, kind: Kind) -> bool:
        """Whether the loss family is of this kind."""
        return kind == self.loss.kind

    def per_sample(self, outputs: Outputs, targets: Targets) -> Float[Tensor, " batch"]:
        """Return the loss of each sample."""
        assert self.values is not None
        outputs = full_precision(outputs)  # and the constants with them
        values = [self.values[h.name] for h in self.loss.hyperparameters]
        return self.loss(outputs, targets, self.loss.constant(len(outputs), values, like=outputs))
