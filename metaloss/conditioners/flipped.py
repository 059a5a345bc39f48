"""What only an oracle knows."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from metaloss.checks import require, seen
from metaloss.conditioners.base import Conditioner, checked_index, remembered
from metaloss.losses.numerics import full_precision
from metaloss.types import Outputs, Targets


class Flipped(Conditioner):
    """Whether a sample's label is wrong, which only an oracle knows.

    Args:
        flipped: which labels of the training set are wrong, ``[samples]``, in the order of the ids.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import Flipped
        >>> conditioner = Flipped(torch.tensor([False, True]))
        >>> conditioner(torch.zeros(1, 2), torch.tensor([0]), index=torch.tensor([1]))
        tensor([[1.]])
    """

    num_features = 1
    kind = None
    needs_index = True
    sized_by_data = ("flipped",)
    flipped: Tensor

    def __init__(self, flipped: Shaped[Tensor, " samples"]) -> None:
        super().__init__()
        require(
            isinstance(flipped, Tensor) and flipped.dtype == torch.bool and flipped.ndim == 1,
            f"flipped: expected bool [samples], got {seen(flipped)}",
        )
        self.register_buffer("flipped", flipped)

    def forward(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch 1"]:
        """Return 1 where the label is wrong, else 0."""
        known = remembered(self.flipped, checked_index(self, index, targets))
        return known.unsqueeze(1).to(full_precision(outputs).dtype)
