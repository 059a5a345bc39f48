"""The margin in logits."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner
from metaloss.losses.numerics import full_precision


class Margin(Conditioner):
    r"""The margin in logits, :math:`m = z_y - \max_{j \ne y} z_j` (Section 3.2).

    It is negative where the network predicts another class than the label.

    Example:
        >>> import torch
        >>> from metaloss.conditioners import Margin
        >>> Margin()(torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([1]))
        tensor([[-2.]])
    """

    num_features = 1

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,  # noqa: ARG002
    ) -> Float[Tensor, "batch 1"]:
        """Return the margin of each sample."""
        return margins(outputs, targets).margin


class Margins(NamedTuple):
    """Margins and rivals.

    Attributes:
        margin: the margins, ``[batch, 1]``.
        rival: the class with the largest logit other than the label's, ``[batch, 1]``.
    """

    margin: Float[Tensor, "batch 1"]
    rival: Int[Tensor, "batch 1"]


def margins(outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]) -> Margins:
    """Return the margin of each sample, in float32 at least, and its rival."""
    outputs = full_precision(outputs)
    label = targets.unsqueeze(1)
    theirs, rival = outputs.scatter(1, label, -torch.inf).max(dim=1, keepdim=True)
    return Margins(outputs.gather(1, label) - theirs, rival)
