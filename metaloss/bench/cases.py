"""The networks to time, and random batches for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloss.bench.transformer import LENGTH, TOKENS, Transformer
from metaloss.models import MLP, resnet8, resnet32

CLASSES = 10


@dataclass(frozen=True)
class Case:
    """A network and its inputs.

    Attributes:
        network: makes the network.
        small: makes a small network of the same kind, for ``--quick``.
        shape: the shape of one sample.
        tokens: the size of the vocabulary, for token sequences; 0 for real numbers.
        classes: the number of classes.
    """

    network: Callable[[], nn.Module]
    small: Callable[[], nn.Module]
    shape: tuple[int, ...]
    tokens: int = 0
    classes: int = CLASSES

    def inputs(self, batch: int, generator: torch.Generator) -> Tensor:
        """Return a batch of random samples."""
        if self.tokens:
            return torch.randint(self.tokens, (batch, *self.shape), generator=generator)
        return torch.randn(batch, *self.shape, generator=generator)


CASES = {
    "resnet32": Case(lambda: resnet32(CLASSES), lambda: resnet8(CLASSES), (3, 32, 32)),
    "mlp": Case(
        lambda: MLP(784, CLASSES, hidden=(256, 256)), lambda: MLP(784, CLASSES, (16,)), (784,)
    ),
    "transformer": Case(
        lambda: Transformer(CLASSES),
        lambda: Transformer(CLASSES, width=16, layers=1),
        (LENGTH,),
        TOKENS,
    ),
}
