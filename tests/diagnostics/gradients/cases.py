"""Modules whose derivatives are wrong on purpose, and subjects that they are part of."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead
from metaloss.conditioners import Margin
from metaloss.diagnostics.gradients.subject import Subject
from metaloss.losses import GCE, LossFamily
from metaloss.types import Batch
from tests.bilevel.cases import learned, training
from tests.bilevel.models import CLASSES


class _Squash(torch.autograd.Function):
    """The hyperbolic tangent, its derivatives to be given."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return torch.tanh(x)

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        ctx.save_for_backward(inputs[0])
        ctx.save_for_forward(inputs[0])


class WrongForward(_Squash):
    @staticmethod
    def jvp(ctx, tangent: Tensor) -> Tensor:
        return 1.5 * tangent * (1 - torch.tanh(ctx.saved_tensors[0]) ** 2)

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        return slope * (1 - torch.tanh(ctx.saved_tensors[0]) ** 2)


class WrongBackward(_Squash):
    @staticmethod
    def jvp(ctx, tangent: Tensor) -> Tensor:
        return tangent * (1 - torch.tanh(ctx.saved_tensors[0]) ** 2)

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        return slope * (1 - torch.tanh(ctx.saved_tensors[0]))


class NotTwice(_Squash):
    """Its backward is right, but what it depends on is not known to autograd."""

    @staticmethod
    def jvp(ctx, tangent: Tensor) -> Tensor:
        return tangent * (1 - torch.tanh(ctx.saved_tensors[0]) ** 2)

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        return slope.detach() * (1 - torch.tanh(ctx.saved_tensors[0]) ** 2) + 0 * slope


class NotSecond(_Squash):
    """The derivative of its backward in the inputs is left out."""

    @staticmethod
    def jvp(ctx, tangent: Tensor) -> Tensor:
        return tangent * (1 - torch.tanh(ctx.saved_tensors[0]) ** 2)

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        return slope * (1 - torch.tanh(ctx.saved_tensors[0].detach()) ** 2)


class NoForward(_Squash):
    """Without a forward-mode rule."""

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        return slope * (1 - torch.tanh(ctx.saved_tensors[0]) ** 2)


class Fails(_Squash):
    """Its forward-mode rule breaks down."""

    @staticmethod
    def jvp(ctx, tangent: Tensor) -> Tensor:
        raise RuntimeError("out of order")

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        return slope * (1 - torch.tanh(ctx.saved_tensors[0]) ** 2)


class OnceOnly(_Squash):
    """Without a forward-mode rule, and its backward cannot be differentiated."""

    @staticmethod
    @once_differentiable
    def backward(ctx, slope: Tensor) -> Tensor:
        return slope * (1 - torch.tanh(ctx.saved_tensors[0]) ** 2)


class Apply(nn.Module):
    """A module around a function."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Detaching(nn.Module):
    """Half of what it computes is hidden from derivatives."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(x) + torch.tanh(x).detach()


class Block(nn.Module):
    """What is wrong is in its own forward, in none of the modules that it is made of."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.inner, self.function = nn.Linear(8, 8), function

    def forward(self, x: Tensor) -> Tensor:
        return x + self.function(self.inner(x))


def deep(middle: nn.Module) -> nn.Module:
    """Layers before and after the module in the middle."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(36, 8),
        nn.Tanh(),
        nn.Linear(8, 8),
        middle,
        nn.Linear(8, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(8, CLASSES),
    )


def subject(
    model: nn.Module,
    steps: int = 1,
    detach: bool = False,
    loss: LossFamily | None = None,
    strategy: str = "mixed",
) -> Subject:
    """A model in the middle of training."""
    criterion = (
        learned(detach=detach)
        if loss is None
        else AdjustedLoss(loss, Margin(), Adjuster.for_loss(loss, Margin(), 6), detach).double()
    )
    made = training(model, criterion=criterion, steps=steps, steps_before=2)
    return Subject(
        made.model,
        made.optimizer,
        made.criterion,
        [Batch(*b) for b in made.train_batches],
        Batch(*made.meta_batch),
        Lookahead(steps, strategy),
    )


class HalfHidden(GCE):
    """A loss that hides from derivatives how it depends on its hyperparameter."""

    def per_sample(self, outputs, targets, hparams):
        return super().per_sample(outputs, targets, 0.5 * hparams + 0.5 * hparams.detach())
