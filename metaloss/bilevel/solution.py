"""The hypergradient that a strategy found, with the checks on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from metaloss.checks import check_finite, require
from metaloss.types import Batch


@dataclass(frozen=True)
class Solution:
    r"""The result of a strategy.

    Attributes:
        hypergradient: :math:`dM/d\theta`, by the adjuster's parameter names.
        meta_loss: :math:`M`, the meta loss after the training steps, a detached scalar.
        disagreement: how far passes disagree that have to agree, in multiples of what rounding
            explains, a scalar; ``None`` where no two passes can be compared.
    """

    hypergradient: dict[str, Tensor]
    meta_loss: Tensor
    disagreement: Tensor | None = None

    def check_consistent(self) -> None:
        """Raise an error if passes disagree that have to agree; waits for the device.

        Raises:
            InputError: the model computes something else from the same weights, batch and random
                numbers, or its gradient is not that of its outputs.
        """
        require(
            self.disagreement is None or not bool(self.disagreement > 1),
            "model: expected the same outputs from the same weights, batch and random numbers, and "
            "a gradient that is theirs, but two passes disagree, so no hypergradient would be "
            "right; draw random numbers from torch's, NumPy's or Python's global generators, and "
            "change nothing between calls",
        )

    def check_finite(self, batches: Mapping[str, Batch]) -> None:
        """Raise an error if the hypergradient is not finite, naming where that came from.

        Args:
            batches: the batches that it was computed from, by name.

        Raises:
            InputError: part of it is NaN or infinite; waits for the device.
        """
        finite = torch.stack([g.isfinite().all() for g in self.hypergradient.values()])
        if bool(finite.all()):
            return
        for name, batch in batches.items():
            check_finite(f"{name}: inputs", batch.inputs)
            check_finite(f"{name}: targets", batch.targets)
        check_finite("meta loss", self.meta_loss)
        for name, grad in self.hypergradient.items():
            check_finite(f"hypergradient of {name}", grad)
