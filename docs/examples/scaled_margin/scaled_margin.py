"""A margin that knows no scale of logits: in lengths of the sample's own logits."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners import Conditioner, Margin


class ScaledMargin(Conditioner):
    r"""The margin over the length of the centred logits.

    .. math:: m / \lVert z - \bar z \rVert
    """

    num_features = 1

    def __init__(self) -> None:
        super().__init__()
        self._margin = Margin()

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch 1"]:
        """In [-sqrt 2, sqrt 2], whatever the network and the number of classes."""
        outputs = outputs.float()
        centred = outputs - outputs.mean(dim=1, keepdim=True)
        return self._margin(centred, targets) / centred.norm(dim=1, keepdim=True).clamp_min(1e-6)
