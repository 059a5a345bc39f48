"""A multilayer perceptron."""

from __future__ import annotations

import math
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from metaloss.checks import check_at_least, check_in_range, require


class MLP(nn.Module):
    """A multilayer perceptron on flattened inputs, with ReLU and dropout after each hidden layer.

    Args:
        in_features: number of values in one sample, such as 64 for an 8x8 grey image.
        out_features: width of the output: classes, or values for regression.
        hidden: widths of the hidden layers; empty for a linear classifier.
        dropout: probability of dropping a hidden unit, in [0, 1].

    Raises:
        InputError: an argument is out of range, or the inputs have another width.

    Example:
        >>> from metaloss.models import MLP
        >>> import torch
        >>> MLP(64, 10)(torch.zeros(5, 1, 8, 8)).shape
        torch.Size([5, 10])
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        hidden: Sequence[int] = (256,),
        *,
        dropout: float = 0.0,
    ) -> None:
        check_at_least("in_features", in_features, 1)
        check_at_least("out_features", out_features, 1)
        require(
            isinstance(hidden, Sequence),
            f"hidden: expected a sequence of widths, such as (256,), got {hidden!r}",
        )
        check_in_range("dropout", dropout, 0.0, 1.0)
        super().__init__()
        self.in_features = in_features
        layers: list[nn.Module] = []
        width = in_features
        for next_width in hidden:
            check_at_least("hidden", next_width, 1)
            layers += [nn.Linear(width, next_width), nn.ReLU(), nn.Dropout(dropout)]
            width = next_width
        self.layers = nn.Sequential(*layers, nn.Linear(width, out_features))

    def forward(self, inputs: Float[Tensor, "batch ..."]) -> Float[Tensor, "batch outputs"]:
        """Return the logits, or the predicted values."""
        require(
            inputs.ndim > 1
            and math.prod(inputs.shape[1:]) == self.in_features
            and inputs.is_floating_point(),
            f"inputs: expected floating-point samples of {self.in_features} numbers, "
            f"got {inputs.dtype} {list(inputs.shape)}",
        )
        return self.layers(inputs.flatten(start_dim=1))
