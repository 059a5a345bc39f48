"""Losses with a slope that is written down, and when that is enough."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad, grad
from torch.func import grad as grad_of
from torch.func import jvp
from torch.overrides import TorchFunctionMode

from metaloss.losses import GCE, JS, LossFamily
from metaloss.losses.sloped import only_slopes_count, sloped


def cubic(log_p: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    return scale * log_p**3, 3 * scale * log_p**2


def test_every_derivative_in_the_probability_is_the_formulas():
    log_p = torch.tensor([-2.0, -0.5], dtype=torch.float64, requires_grad=True)
    scale = torch.tensor([1.0, 4.0], dtype=torch.float64)
    loss = sloped(cubic, log_p, scale)
    torch.testing.assert_close(loss.detach(), scale * log_p.detach() ** 3)
    (first,) = grad(loss.sum(), log_p, create_graph=True)
    torch.testing.assert_close(first.detach(), 3 * scale * log_p.detach() ** 2)
    (second,) = grad(first.sum(), log_p, create_graph=True)
    torch.testing.assert_close(second.detach(), 6 * scale * log_p.detach())
    (third,) = grad(second.sum(), log_p)
    torch.testing.assert_close(third, 6 * scale)


def test_a_first_derivative_evaluates_the_formula_once():
    calls = []

    def counted(log_p: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(1)
        return cubic(log_p, scale)

    log_p = torch.tensor([-2.0], requires_grad=True)
    sloped(counted, log_p, torch.ones(1)).sum().backward()
    assert len(calls) == 1
    assert log_p.grad.item() == 12.0


class TestWhereMoreThanSlopesCounts:
    def test_learned(self):
        assert not only_slopes_count(torch.zeros(1, requires_grad=True))
        assert not only_slopes_count(torch.zeros(1, requires_grad=True) * 2)

    def test_forward_mode(self):
        with forward_ad.dual_level():
            assert not only_slopes_count(torch.zeros(1))
        assert only_slopes_count(torch.zeros(1))

    def test_transforms(self):
        found = []

        def watched(x: Tensor) -> Tensor:
            found.append(only_slopes_count(torch.zeros(1)))
            return x.sum()

        grad_of(watched)(torch.zeros(1))
        assert found == [False]

    def test_function_modes(self):
        class PassedOn(TorchFunctionMode):
            def __torch_function__(self, func, types, args=(), kwargs=None):
                return func(*args, **(kwargs or {}))

        with PassedOn():
            assert not only_slopes_count(torch.zeros(1))

    @pytest.mark.parametrize("family", [GCE(), JS()], ids=str)
    def test_a_hypergradient_by_hand(self, family: LossFamily):
        """Forward mode over a gradient, and double backward."""
        outputs = torch.randn(4, 3, generator=torch.manual_seed(0), dtype=torch.float64)
        targets, hparams = torch.tensor([0, 1, 2, 0]), torch.full((4, 1), 0.4, dtype=torch.float64)

        def step(h: Tensor) -> Tensor:
            return grad_of(lambda z: family(z, targets, h).sum())(outputs)

        _, forward = jvp(step, (hparams,), (torch.ones_like(hparams),))
        z, h = outputs.requires_grad_(), hparams.requires_grad_()
        (first,) = grad(family(z, targets, h).sum(), z, create_graph=True)
        for i, row in enumerate(first):
            for j, slope in enumerate(row):
                (mixed,) = grad(slope, h, retain_graph=True)
                torch.testing.assert_close(mixed[i, 0], forward[i, j])
