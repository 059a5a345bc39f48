"""A classifier of token sequences built on torch's own encoder."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

TOKENS = 1000
LENGTH = 32


class Transformer(nn.Module):
    """Token and position embeddings, encoder layers, and a linear layer on the mean output.

    Example:
        >>> from metaloss.bench.transformer import Transformer
        >>> import torch
        >>> Transformer(10)(torch.zeros(5, 32, dtype=torch.int64)).shape
        torch.Size([5, 10])
    """

    def __init__(self, num_classes: int, width: int = 128, layers: int = 2) -> None:
        super().__init__()
        self.tokens = nn.Embedding(TOKENS, width)
        self.positions = nn.Parameter(0.02 * torch.randn(LENGTH, width))
        layer = nn.TransformerEncoderLayer(
            width, nhead=4, dim_feedforward=2 * width, dropout=0.0, batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.last = nn.Linear(width, num_classes)

    def forward(self, inputs: Int[Tensor, "batch length"]) -> Float[Tensor, "batch classes"]:
        """Return the logits."""
        embedded = self.tokens(inputs) + self.positions
        return self.last(self.encoder(embedded).mean(dim=1))
