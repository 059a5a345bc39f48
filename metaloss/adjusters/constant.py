"""Adjusters that are set by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.adjusters.base import BaseAdjuster, chosen
from metaloss.losses import Hyperparameter


class ConstantAdjuster(BaseAdjuster):
    """The same hyperparameters for every sample: the conventional robust loss (Eq. 6).

    Args:
        hyperparameters: what to give.
        values: from a hyperparameter's name to its value; the default where none is given.

    Raises:
        InputError: an unknown name, or a value out of range.

    Example:
        >>> import torch
        >>> from metaloss import ConstantAdjuster
        >>> from metaloss.losses import GCE
        >>> ConstantAdjuster(GCE().hyperparameters, {"q": 0.5})(torch.empty(1, 0))
        tensor([[0.5000]])
    """

    values: Tensor

    def __init__(
        self,
        hyperparameters: Sequence[Hyperparameter],
        values: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(hyperparameters)
        defaults = {h.name: h.default for h in hyperparameters}
        self.register_buffer("values", chosen(hyperparameters, values or {}, defaults))

    def forward(
        self, features: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        """The same row for each sample."""
        return self.values.to(features.dtype).expand(len(features), -1)


class OracleAdjuster(BaseAdjuster):
    """Hyperparameters for one who is told which labels are wrong (Section 2.4, Fig. 2).

    Its one feature is that of :class:`~metaloss.conditioners.Flipped`.

    Args:
        hyperparameters: what to give.
        clean: values for right labels, by name; where none is given the hyperparameter's own
            ``clean`` (Section 4.3: q, pi_1 to 0, CE's coefficient large, lambda large).
        noisy: values for wrong labels, likewise (q, pi_1 to 1, CE's coefficient 0, lambda 0).

    Raises:
        InputError: an unknown name, or a value out of range.

    Example:
        >>> import torch
        >>> from metaloss import OracleAdjuster
        >>> from metaloss.losses import GCE
        >>> OracleAdjuster(GCE().hyperparameters)(torch.tensor([[0.0], [1.0]]))
        tensor([[0.],
                [1.]])
    """

    num_features: int
    clean: Tensor
    noisy: Tensor

    def __init__(
        self,
        hyperparameters: Sequence[Hyperparameter],
        clean: Mapping[str, float] | None = None,
        noisy: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__(hyperparameters)
        self.num_features = 1
        told_clean = {h.name: _or(h.clean, h.default) for h in hyperparameters}
        told_noisy = {h.name: _or(h.noisy, h.default) for h in hyperparameters}
        self.register_buffer("clean", chosen(hyperparameters, clean or {}, told_clean))
        self.register_buffer("noisy", chosen(hyperparameters, noisy or {}, told_noisy))

    def forward(
        self, features: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        """The row for wrong labels where the feature is 1, the other where it is 0."""
        return torch.lerp(
            self.clean.to(features.dtype), self.noisy.to(features.dtype), features[:, :1]
        )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
