"""Adjusters without learned parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from metaloss.adjusters.base import BaseAdjuster, values_by_name
from metaloss.losses import Hyperparameter


class ConstantAdjuster(BaseAdjuster):
    """Predicts the same hyperparameters for every sample, as a conventional robust loss (Eq. 6).

    Args:
        hyperparameters: the hyperparameters.
        values: the values by hyperparameter name; the others have their defaults.

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
        self.register_buffer("values", values_by_name(hyperparameters, values or {}, defaults))

    def forward(
        self, features: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        """Return the same row for each sample."""
        return self.values.to(features.dtype).expand(len(features), -1)


class OracleAdjuster(BaseAdjuster):
    """Predicts by whether the label is wrong, which only an oracle knows (Section 2.4, Fig. 2).

    Its only feature is that of :class:`~metaloss.conditioners.Flipped`.

    Args:
        hyperparameters: the hyperparameters.
        clean: the values for right labels by name; the others have the hyperparameter's ``clean``
            value (Section 4.3: q and pi_1 near 0, CE's coefficient and lambda large).
        noisy: the values for wrong labels, likewise (q and pi_1 near 1, CE's coefficient and
            lambda 0).

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
        for_clean = {h.name: _or(h.clean, h.default) for h in hyperparameters}
        for_noisy = {h.name: _or(h.noisy, h.default) for h in hyperparameters}
        self.register_buffer("clean", values_by_name(hyperparameters, clean or {}, for_clean))
        self.register_buffer("noisy", values_by_name(hyperparameters, noisy or {}, for_noisy))

    def forward(
        self, features: Float[Tensor, "batch features"]
    ) -> Float[Tensor, "batch hyperparameters"]:
        """Return the row for wrong labels where the feature is 1, else that for right labels."""
        return torch.lerp(
            self.clean.to(features.dtype), self.noisy.to(features.dtype), features[:, :1]
        )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
