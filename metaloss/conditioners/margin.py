"""The margin in logits."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners.base import Conditioner
from metaloss.losses.numerics import full_precision


class Margin(Conditioner):
    r"""The margin in logits, :math:`m = z_y - \max_{j \ne y} z_j` (Section 3.2).

    Negative where the classifier prefers another class than the label.

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
        """The margin of each sample."""
        own, others = own_and_others(outputs, targets)
        return own - others.amax(dim=1, keepdim=True)


def own_and_others(
    outputs: Float[Tensor, "batch classes"], targets: Int[Tensor, " batch"]
) -> tuple[Float[Tensor, "batch 1"], Float[Tensor, "batch classes"]]:
    """The label's logit, and all logits with minus infinity in its place."""
    outputs = full_precision(outputs)
    label = targets.unsqueeze(1)
    return outputs.gather(1, label), outputs.scatter(1, label, -torch.inf)
