"""Models, optimizers and batches to look ahead with."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel.lookahead import STRATEGIES
from metaloss.conditioners import Concat, Conditioner, LossValue, Margin
from metaloss.losses import GCE, LossFamily
from tests.helpers.hypergradients import Batch, Training

CLASSES, SAMPLES = 3, 40
EXACT = [name for name in STRATEGIES if name != "difference"]
"""The strategies that make no error of their own."""

MakeOptimizer = Callable[[Iterable[Any]], torch.optim.Optimizer]

# A fresh Adam or RMSprop moves by the gradient's sign but for eps: with the usual 1e-8 there would
# be no slope to measure.
OPTIMIZERS: dict[str, MakeOptimizer] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.3),
    "SGD-momentum": lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9),
    "SGD-dampening": lambda p: torch.optim.SGD(p, lr=0.2, momentum=0.9, dampening=0.4),
    "SGD-Nesterov": lambda p: torch.optim.SGD(
        p, lr=0.2, momentum=0.9, nesterov=True, weight_decay=0.05
    ),
    "SGD-decay": lambda p: torch.optim.SGD(p, lr=0.3, weight_decay=0.1),
    "SGD-maximize": lambda p: torch.optim.SGD(
        p, lr=0.2, momentum=0.5, weight_decay=0.1, maximize=True
    ),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.05, eps=1e-2),
    "Adam-decay": lambda p: torch.optim.Adam(
        p, lr=0.05, betas=(0.5, 0.9), eps=1e-2, weight_decay=0.1
    ),
    "Adam-maximize": lambda p: torch.optim.Adam(
        p, lr=0.05, eps=1e-2, weight_decay=0.1, maximize=True
    ),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.05, eps=1e-2, weight_decay=0.1),
    "AdamW-maximize": lambda p: torch.optim.AdamW(p, lr=0.05, eps=1e-2, maximize=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.02, eps=1e-2),
    "RMSprop-momentum": lambda p: torch.optim.RMSprop(
        p, lr=0.02, alpha=0.9, eps=1e-2, momentum=0.8, weight_decay=0.1
    ),
    "RMSprop-centered": lambda p: torch.optim.RMSprop(p, lr=0.02, eps=1e-2, centered=True),
    "RMSprop-maximize": lambda p: torch.optim.RMSprop(
        p, lr=0.02, eps=1e-2, momentum=0.8, centered=True, weight_decay=0.1, maximize=True
    ),
}


class Residual(nn.Module):
    """A block and a way around it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width), nn.Softplus()
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.block(x)


class Tied(nn.Module):
    """One layer's weight is another's."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(36, 36), nn.Linear(36, 36)
        self.second.weight = self.first.weight
        self.last = nn.Linear(36, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(torch.tanh(self.second(torch.tanh(self.first(x.flatten(1))))))


class Attention(nn.Module):
    """Rows of the image attend to one another."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.last = nn.Linear(6, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        rows = x.squeeze(1)
        mixed, _ = self.attention(rows, rows, rows, need_weights=False)
        return self.last(mixed.mean(1))


class Centred(nn.Module):
    """What it gives depends on the batches it has seen, by way of a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.register_buffer("centre", torch.zeros(1, 6, 6))

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.centre.mul_(0.5).add_(x.mean(0))
        return self.body(x - self.centre)


class Recurrent(nn.Module):
    """Rows of the image one after the other."""

    def __init__(self, layer: type[nn.RNNBase] = nn.LSTM) -> None:
        super().__init__()
        self.layer, self.last = layer(6, 5, batch_first=True), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.layer(x.squeeze(1))[0][:, -1])


class WithFrozen(nn.Module):
    """Some of the weights are not trained."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, CLASSES))
        self.body[1].weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


def mlp(activation: type[nn.Module] = nn.Tanh, *extra: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(36, 8), activation(), *extra, nn.Linear(8, CLASSES)
    )


def cnn(norm: nn.Module) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), norm, nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, CLASSES)
    )


MODELS: dict[str, Callable[[], nn.Module]] = {
    "MLP": mlp,
    "MLP-ReLU": lambda: mlp(nn.ReLU),
    "MLP-dropout": lambda: mlp(nn.GELU, nn.Dropout(0.4)),
    "MLP-LayerNorm": lambda: mlp(nn.SiLU, nn.LayerNorm(8)),
    "CNN-BatchNorm": lambda: cnn(nn.BatchNorm2d(4)),
    "CNN-BatchNorm-cumulative": lambda: cnn(nn.BatchNorm2d(4, momentum=None)),
    "CNN-BatchNorm-eval": lambda: cnn(nn.BatchNorm2d(4)).eval(),
    "CNN-GroupNorm": lambda: cnn(nn.GroupNorm(2, 4)),
    "CNN-dropout2d": lambda: cnn(nn.Dropout2d(0.3)),
    "residual": lambda: nn.Sequential(
        nn.Conv2d(1, 3, 3), Residual(3), Residual(3), nn.Flatten(), nn.Linear(48, CLASSES)
    ),
    "attention": Attention,
    "LSTM": Recurrent,
    "centred": Centred,
    "tied": Tied,
    "frozen": WithFrozen,
}


def batch(seed: int, size: int = 10, dtype: torch.dtype = torch.float64) -> Batch:
    """Images, noisy labels and ids."""
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(size, 1, 6, 6, generator=generator, dtype=torch.float64).to(dtype),
        torch.randint(CLASSES, (size,), generator=generator),
        torch.randperm(SAMPLES, generator=generator)[:size],
    )


def two_features() -> Conditioner:
    return Concat([Margin(), LossValue()])


def learned(
    loss: LossFamily | None = None,
    conditioner: Conditioner | None = None,
    detach: bool = False,
) -> AdjustedLoss:
    """A criterion whose adjuster has something to learn, in float64."""
    loss = GCE() if loss is None else loss
    conditioner = two_features() if conditioner is None else conditioner
    adjuster = Adjuster.for_loss(loss, conditioner, hidden=6)
    return AdjustedLoss(loss, conditioner, adjuster, detach).double()


def training(
    model: nn.Module | None = None,
    make_optimizer: MakeOptimizer = OPTIMIZERS["SGD"],
    criterion: AdjustedLoss | None = None,
    steps: int = 1,
    steps_before: int = 0,
) -> Training:
    """A training that has made some real steps, and is about to look ahead."""
    model = (mlp() if model is None else model).double()
    found = Training(
        model=model,
        optimizer=make_optimizer(p for p in model.parameters() if p.requires_grad),
        criterion=learned() if criterion is None else criterion,
        train_batches=[batch(k) for k in range(steps)],
        meta_batch=batch(50)[:2],
    )
    for k in range(steps_before):
        found.step(batch(100 + k))
    found.optimizer.zero_grad()
    found.criterion.zero_grad()
    return found
