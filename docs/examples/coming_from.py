"""One meta step, with other libraries and with metaloss: how the lines correspond.

All of them differentiate the loss of clean samples through one training step, in the parameters of
the adjuster. A batch and a clean batch are ``(inputs, labels)``.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookback
from metaloss.conditioners import LossValue
from metaloss.losses import WeightedCE


def meta_weight_net() -> AdjustedLoss:
    """Meta-Weight-Net: cross entropy, and a network that maps each loss to a weight."""
    loss, conditioner = WeightedCE(), LossValue()
    return AdjustedLoss(loss, conditioner, Adjuster.for_loss(loss, conditioner))


def with_metaloss(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: AdjustedLoss,
    batch: tuple[Tensor, Tensor],
    clean: tuple[Tensor, Tensor],
) -> list[Tensor]:
    """The real step, which is then differentiated."""
    x, y = batch
    lookback = Lookback()
    with lookback.step(model, optimizer, criterion, batch):
        optimizer.zero_grad()
        criterion(model(x), y).backward()
        optimizer.step()
    return list(lookback.hypergradient(clean).values())


def with_higher(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: AdjustedLoss,
    batch: tuple[Tensor, Tensor],
    clean: tuple[Tensor, Tensor],
) -> list[Tensor]:
    """A step of a patched copy; the real step comes later."""
    import higher

    (x, y), (clean_x, clean_y) = batch, clean
    with higher.innerloop_ctx(model, optimizer) as (copy, differentiable):
        differentiable.step(criterion(copy(x), y))
        clean_loss = F.cross_entropy(copy(clean_x), clean_y)
        return list(torch.autograd.grad(clean_loss, [*criterion.adjuster.parameters()]))


def with_torchopt(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: AdjustedLoss,
    batch: tuple[Tensor, Tensor],
    clean: tuple[Tensor, Tensor],
) -> list[Tensor]:
    """A step of the model itself, which is taken back; the optimizer is another one."""
    import torchopt

    (x, y), (clean_x, clean_y) = batch, clean
    group = optimizer.param_groups[0]
    differentiable = torchopt.MetaSGD(model, lr=group["lr"], momentum=group["momentum"])
    before = torchopt.extract_state_dict(model, by="reference", detach_buffers=True)
    differentiable.step(criterion(model(x), y))
    clean_loss = F.cross_entropy(model(clean_x), clean_y)
    found = list(torch.autograd.grad(clean_loss, [*criterion.adjuster.parameters()]))
    torchopt.recover_state_dict(model, before)
    return found


def with_learn2learn(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    criterion: AdjustedLoss,
    batch: tuple[Tensor, Tensor],
    clean: tuple[Tensor, Tensor],
) -> list[Tensor]:
    """A plain step, without the optimizer, of a clone."""
    import learn2learn

    (x, y), (clean_x, clean_y) = batch, clean
    learner = learn2learn.algorithms.MAML(model, lr=optimizer.param_groups[0]["lr"]).clone()
    learner.adapt(criterion(learner(x), y))
    clean_loss = F.cross_entropy(learner(clean_x), clean_y)
    return list(torch.autograd.grad(clean_loss, [*criterion.adjuster.parameters()]))
