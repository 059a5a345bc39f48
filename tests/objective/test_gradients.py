"""Gradients with and without detached features."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from metaloss import AdjustedLoss, Adjuster
from metaloss.conditioners import Concat, LossValue, Margin
from metaloss.losses import GCE

BATCH, CLASSES = 8, 4


def problem(detach: bool) -> tuple[AdjustedLoss, Tensor, Tensor]:
    conditioner = Concat([Margin(), LossValue()])
    adjuster = Adjuster.for_loss(GCE(), conditioner, hidden=6)
    with torch.no_grad():
        adjuster.net[2].weight.mul_(5)  # so that the features matter
    criterion = AdjustedLoss(GCE(), conditioner, adjuster, detach=detach).double()
    generator = torch.Generator().manual_seed(4)
    outputs = torch.randn(BATCH, CLASSES, generator=generator, dtype=torch.float64)
    targets = torch.randint(CLASSES, (BATCH,), generator=generator)
    return criterion, outputs.requires_grad_(), targets


def by_hand(criterion: AdjustedLoss, outputs: Tensor, targets: Tensor, features: Tensor) -> Tensor:
    """Return the mean GCE, with the MLP and Eq. 2 written out."""
    first, _, second = criterion.adjuster.net
    hidden = torch.clamp(features @ first.weight.T + first.bias, min=0)
    q = 1 / (1 + torch.exp(-(hidden @ second.weight.T + second.bias)[:, 0]))
    weights = outputs.exp()
    p = weights[torch.arange(BATCH), targets] / weights.sum(1)
    return ((1 - p**q) / q).mean()


def features_by_hand(outputs: Tensor, targets: Tensor) -> Tensor:
    rows = []
    for z, y in zip(outputs, targets.tolist(), strict=True):
        others = torch.cat([z[:y], z[y + 1 :]])
        rows.append(torch.stack([z[y] - others.max(), z.exp().sum().log() - z[y]]))
    return torch.stack(rows)


def gradients(value: Tensor, criterion: AdjustedLoss, outputs: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(value, [outputs, *criterion.adjuster.parameters()]))


@pytest.mark.parametrize("detach", [True, False])
def test_gradients_are_those_worked_out_by_hand(detach: bool):
    criterion, outputs, targets = problem(detach)
    features = features_by_hand(outputs, targets)
    if detach:
        features = torch.tensor(features.tolist(), dtype=torch.float64)  # plain numbers
    expected = by_hand(criterion, outputs, targets, features)
    value = criterion(outputs, targets)
    torch.testing.assert_close(value, expected, rtol=1e-12, atol=0)
    for found, wanted in zip(
        gradients(value, criterion, outputs),
        gradients(expected, criterion, outputs),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-13)


def test_the_two_ways_differ_in_the_network_and_not_in_the_adjuster():
    fixed, outputs, targets = problem(detach=True)
    through = AdjustedLoss(fixed.loss, fixed.conditioner, fixed.adjuster, detach=False)
    one = gradients(fixed(outputs, targets), fixed, outputs)
    other = gradients(through(outputs, targets), through, outputs)
    assert (one[0] - other[0]).norm() > 0.01 * one[0].norm()
    for a, b in zip(one[1:], other[1:], strict=True):
        torch.testing.assert_close(a, b)


def test_through_the_features_is_the_whole_derivative():
    criterion, outputs, targets = problem(detach=False)
    assert torch.autograd.gradcheck(lambda z: criterion(z, targets), outputs)


def test_features_are_held_fixed_by_default():
    criterion, outputs, targets = problem(detach=True)
    assert AdjustedLoss(criterion.loss, criterion.conditioner, criterion.adjuster).detach
    assert not criterion.features(outputs, targets).requires_grad
    criterion.detach = False
    assert criterion.features(outputs, targets).requires_grad


@pytest.mark.parametrize("detach", [True, False])
def test_gradients_of_each_sample_by_vmap(detach: bool):
    criterion, outputs, targets = problem(detach)

    def one(z: Tensor, y: Tensor) -> Tensor:
        return criterion(z[None], y[None])

    found = torch.func.vmap(torch.func.grad(one))(outputs.detach(), targets)
    (expected,) = torch.autograd.grad(criterion(outputs, targets), outputs)
    torch.testing.assert_close(found / BATCH, expected, rtol=1e-12, atol=1e-15)
