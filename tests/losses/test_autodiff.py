"""torch's ways of differentiating agree for every family."""

from __future__ import annotations

import pytest
import torch
import torch.autograd.forward_ad as fwd
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, jacfwd, jacrev, jvp, vmap

from metaloss.losses import HardBootstrapping, LossFamily
from tests.losses.cases import families, moderate

# torch's own forward-mode rules are TorchScript, which says so when the first one is used.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")


def tangents_like(*tensors: Tensor) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(7)
    return tuple(torch.randn(t.shape, generator=generator, dtype=t.dtype) for t in tensors)


@pytest.mark.parametrize("family", families(), ids=str)
def test_gradients_match_finite_differences(family: LossFamily):
    outputs, targets, hparams = moderate(family, batch=2)
    variables = (outputs.requires_grad_(), hparams.requires_grad_())

    def loss(z: Tensor, h: Tensor) -> Tensor:
        return family(z, targets, h)

    # Double backward adds rounding of its own to the 1e-6 steps that gradgradcheck takes.
    assert gradcheck(loss, variables, check_forward_ad=True)
    assert gradgradcheck(loss, variables, atol=1e-4)


@pytest.mark.parametrize("family", families(), ids=str)
def test_forward_mode_agrees_with_reverse_mode(family: LossFamily):
    outputs, targets, hparams = moderate(family)
    zdot, hdot = tangents_like(outputs, hparams)

    with fwd.dual_level():
        dual = family(fwd.make_dual(outputs, zdot), targets, fwd.make_dual(hparams, hdot))
        values, forward = fwd.unpack_dual(dual)

    z, h = outputs.requires_grad_(), hparams.requires_grad_()
    losses = family(z, targets, h)
    by_z, by_h = torch.autograd.grad(
        losses.sum(), (z, h), allow_unused=True, materialize_grads=True
    )
    reverse = (by_z * zdot).sum(1) + (by_h * hdot).sum(1)
    torch.testing.assert_close(values, losses.detach(), rtol=1e-13, atol=1e-14)
    torch.testing.assert_close(forward, reverse, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", families(), ids=str)
def test_forward_mode_over_a_gradient_agrees_with_double_backward(family: LossFamily):
    outputs, targets, hparams = moderate(family)
    zdot, hdot = tangents_like(outputs, hparams)

    def slopes(z: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        return grad(lambda z, h: family(z, targets, h).sum(), argnums=(0, 1))(z, h)

    _, forward = jvp(slopes, (outputs, hparams), (zdot, hdot))

    z, h = outputs.requires_grad_(), hparams.requires_grad_()
    options = {"allow_unused": True, "materialize_grads": True}
    by_z, by_h = torch.autograd.grad(
        family(z, targets, h).sum(), (z, h), create_graph=True, **options
    )
    along = (by_z * zdot).sum() + (by_h * hdot).sum()
    double_backward = torch.autograd.grad(along, (z, h), **options)
    for one, other in zip(forward, double_backward, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("family", families(), ids=str)
def test_one_sample_at_a_time_under_vmap(family: LossFamily):
    outputs, targets, hparams = moderate(family)

    def one(z: Tensor, y: Tensor, h: Tensor) -> Tensor:
        return family(z[None], y[None], h[None])[0]

    together = family(outputs, targets, hparams)
    torch.testing.assert_close(vmap(one)(outputs, targets, hparams), together)
    mapped = vmap(grad(one, argnums=(0, 2)))(outputs, targets, hparams)
    z, h = outputs.requires_grad_(), hparams.requires_grad_()
    summed = torch.autograd.grad(
        family(z, targets, h).sum(), (z, h), allow_unused=True, materialize_grads=True
    )
    for one_by_one, at_once in zip(mapped, summed, strict=True):
        torch.testing.assert_close(one_by_one, at_once, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("jacobian", [jacrev, jacfwd])
@pytest.mark.parametrize("family", families(), ids=str)
def test_no_sample_feels_another(family: LossFamily, jacobian):
    outputs, targets, hparams = moderate(family)
    by_z, by_h = jacobian(lambda z, h: family(z, targets, h), argnums=(0, 1))(outputs, hparams)
    others = ~torch.eye(len(targets), dtype=torch.bool)
    assert (by_z[others] == 0).all()
    assert (by_h[others] == 0).all()
    assert (by_z[~others] != 0).any(dim=1).all(), "the logits must matter for this to say anything"


@pytest.mark.parametrize("family", families(), ids=str)
def test_every_hyperparameter_moves_the_loss_and_its_gradient(family: LossFamily):
    """Otherwise an adjuster could not learn it: the hypergradient consists of mixed derivatives."""
    outputs, targets, hparams = moderate(family)

    def slope(h: Tensor) -> Tensor:
        return grad(lambda z: family(z, targets, h).sum())(outputs)

    by_h = grad(lambda h: family(outputs, targets, h).sum())(hparams)
    assert by_h.shape == (len(targets), len(family.hyperparameters))
    matters = torch.ones(len(targets), dtype=torch.bool)
    if isinstance(family, HardBootstrapping):  # mixing the label with itself changes nothing
        matters = outputs.argmax(dim=1) != targets
    assert (by_h[matters] != 0).all()
    for k in range(len(family.hyperparameters)):
        column = torch.zeros_like(hparams)
        column[:, k] = 1.0
        _, mixed = jvp(slope, (hparams,), (column,))
        assert (mixed[matters] != 0).any(dim=1).all(), family.hyperparameters[k].name
