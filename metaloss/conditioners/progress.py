"""The fraction of training that is done."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner
from metaloss.losses.numerics import default_precision, full_precision
from metaloss.types import Outputs, Targets


class Progress(Conditioner):
    """The fraction of training that is done, from 0 to 1, the same for every sample.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import Progress
        >>> conditioner = Progress()
        >>> conditioner.set_progress(0.5)
        >>> conditioner(torch.zeros(1, 2), torch.tensor([0]))
        tensor([[0.5000]])
    """

    num_features = 1
    kind = None
    fraction: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fraction", torch.zeros((), dtype=default_precision()))
        self.awaits_progress = True

    def set_progress(self, fraction: float) -> None:
        """Set the fraction of training that is done."""
        self.fraction.fill_(fraction)
        self.awaits_progress = False

    def forward(
        self,
        outputs: Outputs,
        targets: Targets,  # noqa: ARG002
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch 1"]:
        """Return the fraction for each sample."""
        fraction = self.fraction.to(full_precision(outputs).dtype).expand(len(outputs), 1)
        return fraction.clone()  # set_progress writes into the buffer before the backward pass

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if f"{prefix}fraction" in state_dict:
            self.awaits_progress = False
