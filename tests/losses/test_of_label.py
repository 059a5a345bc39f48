"""Families of the label's probability: the gradient by the weight is that of the loss."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from metaloss import AdjustedLoss, Adjuster
from metaloss.conditioners import Margin
from metaloss.losses import GCE, JS, SL, Fixed, LossFamily, PolySoft, Ranged
from metaloss.losses.of_label import OfLabel

FAMILIES: list[OfLabel] = [GCE(), SL(), SL(A=-6.5), PolySoft(), JS()]
WRAPPED = [Ranged(GCE(), {"q": (0.2, 0.9)}), Fixed(PolySoft(), {"d": 2.0}), *FAMILIES]
every = pytest.mark.parametrize("family", FAMILIES, ids=str)
every_wrapped = pytest.mark.parametrize("family", WRAPPED, ids=str)


def spread(family: LossFamily, samples: int) -> Tensor:
    """Hyperparameters all over their ranges, without the ends."""
    parts = torch.linspace(0.02, 0.98, samples, dtype=torch.float64).flip(0)
    columns = [
        h.low + (h.high - h.low) * parts.roll(k) for k, h in enumerate(family.hyperparameters)
    ]
    return torch.stack(columns, dim=1)


def batch(samples: int = 40) -> tuple[Tensor, Tensor]:
    outputs = 4 * torch.randn(samples, 5, dtype=torch.float64)
    return outputs.requires_grad_(), torch.randint(5, (samples,))


@every
def test_the_weight_is_the_derivative_of_the_loss(family: OfLabel) -> None:
    log_p = (-torch.logspace(-6, 2, 200, dtype=torch.float64)).requires_grad_()
    for hparams in (spread(family, 200), family.constant(200).double()):
        (slope,) = torch.autograd.grad(family.of_log_prob(log_p, hparams).sum(), log_p)
        found = family.weight(log_p.detach(), hparams)
        torch.testing.assert_close(found, -slope, rtol=1e-8, atol=1e-12)


@every
def test_where_it_is_cross_entropy_the_weight_is_one(family: OfLabel) -> None:
    """At the end of the ranges, and there exactly; log f_y = 0 is a label with probability 1."""
    ends = {GCE: (0.0,), SL: (1.0, 0.0), PolySoft: (1e9, 2.0), JS: (0.0,)}[type(family)]
    log_p = -torch.logspace(-3, 1, 20, dtype=torch.float64)
    weight = family.weight(log_p, family.constant(20, ends, like=log_p))
    torch.testing.assert_close(weight, torch.ones(20).double(), rtol=0, atol=1e-7)


@every_wrapped
def test_values_and_gradients_are_those_without_it(family: LossFamily) -> None:
    outputs, targets = batch()
    hparams = spread(family, 40)
    slopes = torch.randn(40, dtype=torch.float64)
    one = family.evaluate(outputs, targets, hparams, constant=True)
    other = family.evaluate(outputs, targets, hparams)
    assert torch.equal(one, other)
    found, expected = (torch.autograd.grad((v * slopes).sum(), outputs)[0] for v in (one, other))
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@every
def test_finite_differences_in_every_mode(family: OfLabel) -> None:
    outputs, targets = batch(2)
    hparams = spread(family, 2)

    def losses(z: Tensor) -> Tensor:
        return family.evaluate(z, targets, hparams, constant=True)

    assert gradcheck(losses, outputs, check_forward_ad=True)
    assert gradgradcheck(losses, outputs)
    (slope,) = torch.autograd.grad(losses(outputs).sum(), outputs)
    transformed = torch.func.grad(lambda z: losses(z).sum())(outputs.detach())
    torch.testing.assert_close(transformed, slope, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@every_wrapped
def test_certain_labels_have_finite_gradients(family: LossFamily, dtype: torch.dtype) -> None:
    outputs = torch.tensor([[200.0, 0.0], [0.0, 0.0]], dtype=dtype).requires_grad_()
    for label in (0, 1):
        targets = torch.full((2,), label)
        hparams = spread(family, 2).float()
        losses = family.evaluate(outputs, targets, hparams, constant=True)
        (slope,) = torch.autograd.grad(losses.sum(), outputs)
        assert losses.dtype == torch.float32 and slope.dtype == dtype
        assert losses.isfinite().all() and slope.isfinite().all()


@every_wrapped
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_a_call_has_the_gradient_of_the_training_loss(family, detach: bool, frozen: bool) -> None:
    adjuster = Adjuster.for_loss(family, Margin(), 4).requires_grad_(not frozen)
    torch.nn.init.normal_(adjuster.net[2].weight)
    criterion = AdjustedLoss(family, Margin(), adjuster, detach).double()
    outputs, targets = batch(12)
    inputs = [outputs, *(p for p in adjuster.parameters() if p.requires_grad)]
    found, expected = (
        torch.autograd.grad(call(outputs, targets), inputs)
        for call in (criterion, criterion.training_loss)
    )
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-12)


class Doubled(GCE):
    """A family of a user's own, which says only what the loss is."""

    def per_sample(self, outputs: Tensor, targets: Tensor, hparams: Tensor) -> Tensor:
        return 2 * super().per_sample(outputs, targets, hparams)


class Squared(GCE):
    def of_log_prob(self, log_p: Tensor, hparams: Tensor) -> Tensor:
        return super().of_log_prob(log_p, hparams).square()


@pytest.mark.parametrize("family", [Doubled(), Squared()])
def test_a_subclass_with_another_loss_does_not_inherit_the_weight(family: GCE) -> None:
    outputs, targets = batch(6)
    hparams = spread(family, 6)
    one = family.evaluate(outputs, targets, hparams, constant=True)
    other = family.evaluate(outputs, targets, hparams)
    assert torch.equal(one, other) and not torch.equal(one, GCE()(outputs, targets, hparams))
    slopes = (torch.autograd.grad(losses.sum(), outputs) for losses in (one, other))
    torch.testing.assert_close(*slopes)
