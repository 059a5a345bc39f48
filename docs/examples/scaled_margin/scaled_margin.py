"""A margin that knows no scale of logits: in lengths of the sample's own logits."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor

from metaloss.conditioners import Conditioner, Margin


class ScaledMargin(Conditioner):
    r"""The margin over the length of the centred logits.

    .. math:: s m / \lVert z - \bar z \rVert

    Args:
        scale: :math:`s`, about what margins in logits are.
    """

    num_features = 1

    def __init__(self, scale: float = 10.0) -> None:
        super().__init__()
        self.scale = scale
        self._margin = Margin()

    def forward(
        self,
        outputs: Float[Tensor, "batch classes"],
        targets: Int[Tensor, " batch"],
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch 1"]:
        """Within 1.5 scales of 0, whatever the network and the number of classes."""
        outputs = outputs.float()
        centred = outputs - outputs.mean(dim=1, keepdim=True)
        length = centred.norm(dim=1, keepdim=True).clamp_min(1e-6)
        return self.scale * self._margin(centred, targets) / length
