"""The networks that are timed, and the batches they are given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloss.bench.transformer import LENGTH, TOKENS, Transformer
from metaloss.models import MLP, LeNet, resnet8, resnet32

CLASSES = 10


@dataclass(frozen=True)
class Case:
    """A network and what it takes.

    Attributes:
        network: makes it.
        small: makes one of the same kind, for a quick look.
        shape: of one sample.
        tokens: how many different ones there are, if a sample is a sequence of tokens; 0 if it is
            made of real numbers.
        extra: only measured if named.
    """

    network: Callable[[], nn.Module]
    small: Callable[[], nn.Module]
    shape: tuple[int, ...]
    tokens: int = 0
    extra: bool = False

    def inputs(self, batch: int, generator: torch.Generator) -> Tensor:
        """Random samples."""
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
    # What the transfer tables of the documentation are trained with.
    "lenet": Case(
        lambda: LeNet(1, CLASSES), lambda: LeNet(1, CLASSES, hidden=8), (1, 28, 28), extra=True
    ),
    "resnet8": Case(lambda: resnet8(CLASSES), lambda: resnet8(CLASSES), (3, 16, 16), extra=True),
}
