"""Hypergradients with the gradients' norm held fixed, compared with real training."""

from __future__ import annotations

import pytest
import torch

from metaloss import AdjustedLoss, Adjuster
from metaloss.bilevel import Lookahead
from metaloss.checks import InputError
from metaloss.conditioners import Margin
from metaloss.losses import WeightedCE
from tests.bilevel.cases import EXACT, OPTIMIZERS, learned, training
from tests.bilevel.models import CLASSES
from tests.helpers.exhaustive import all_pairs
from tests.helpers.hypergradients import Training, directions, inner

STEP = 1e-5


def norm_of(twin: Training) -> torch.Tensor:
    grads = [p.grad for p in twin.model.parameters() if p.grad is not None]
    return torch.stack([g.square().sum() for g in grads]).sum().sqrt()


def norms_on_the_way(here: Training) -> list[torch.Tensor]:
    """Return the norm of the gradient at each of the real steps."""
    twin, found = here.twin(), []
    for batch in twin.train_batches:
        twin.step(batch)
        found.append(norm_of(twin))
    return found


def loss_at_those_norms(
    here: Training, norms: list[torch.Tensor], nudge: dict, share: float = 1.0
) -> float:
    """Return the meta loss after real training with gradients rescaled towards given norms."""
    twin = here.twin()
    left = iter(norms)

    def rescale(*_: object) -> None:
        scale = (next(left) / norm_of(twin)) ** share
        for p in twin.model.parameters():
            if p.grad is not None:
                p.grad.mul_(scale)

    twin.optimizer.register_step_pre_hook(rescale)
    with torch.no_grad():
        for name, p in twin.criterion.adjuster.named_parameters():
            p.add_(nudge[name])
    for batch in twin.train_batches:
        twin.step(batch)
    with torch.no_grad():
        inputs, targets = twin.meta_batch
        return torch.nn.functional.cross_entropy(twin.model(inputs), targets).item()


@all_pairs(
    "share, kind, steps, strategy", [1.0, 0.7], ["SGD", "SGD-Nesterov", "Adam"], [1, 3], EXACT
)
def test_against_training_with_gradients_of_the_same_length(
    share: float, kind: str, steps: int, strategy: str
) -> None:
    here = training(make_optimizer=OPTIMIZERS[kind], steps=steps, steps_before=2)
    found = here.look_ahead(Lookahead(steps, strategy, hold_norm=share))
    length = inner(found, found) ** 0.5
    assert length > 1e-5
    norms = norms_on_the_way(here)
    for direction in directions(found, 2):
        ahead, behind = (
            loss_at_those_norms(here, norms, {n: s * STEP * v for n, v in direction.items()}, share)
            for s in (1.0, -1.0)
        )
        slope = (ahead - behind) / (2 * STEP)
        assert abs(inner(found, direction) - slope) < 1e-6 * length


@pytest.mark.parametrize("strategy", EXACT)
def test_it_is_another_derivative_of_the_same_step(strategy: str) -> None:
    here = training(steps=2, steps_before=2)
    free = here.look_ahead(Lookahead(2, strategy))
    held = here.look_ahead(Lookahead(2, strategy, hold_norm=1.0))
    gap = {name: free[name] - held[name] for name in free}
    assert inner(gap, gap) > 1e-4 * inner(free, free)
    losses = [
        Lookahead(2, strategy, hold_norm=hold)
        .solve(here.model, here.optimizer, here.criterion, here.train_batches, here.meta_batch)
        .meta_loss
        for hold in (0.0, 0.9, 1.0)
    ]
    assert losses[0] == losses[1] == losses[2]


def test_a_scale_that_all_samples_share_has_no_slope() -> None:
    """A weight shared by all samples only changes the length of the step."""
    loss = WeightedCE()
    adjuster = Adjuster.for_loss(loss, Margin()).double()
    with torch.no_grad():
        for p in adjuster.parameters():
            p.zero_()  # the weight does not depend on the margin
    here = training(criterion=AdjustedLoss(loss, Margin(), adjuster))
    bias = [name for name in dict(adjuster.named_parameters()) if name.endswith("bias")][-1]
    free = here.look_ahead(Lookahead())[bias]
    held = here.look_ahead(Lookahead(hold_norm=1.0))[bias]
    assert free.abs().item() > 1e-4
    assert held.abs().item() < 1e-14


@pytest.mark.parametrize("strategy", EXACT)
def test_a_fraction_interpolates_linearly(strategy: str) -> None:
    here = training(steps_before=2)
    free, most, held = (
        here.look_ahead(Lookahead(strategy=strategy, hold_norm=share)) for share in (0.0, 0.9, 1.0)
    )
    for name in free:
        torch.testing.assert_close(most[name], 0.1 * free[name] + 0.9 * held[name])


@pytest.mark.bad_input
@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_shares_out_of_range(share: float) -> None:
    with pytest.raises(InputError, match="hold_norm: expected"):
        Lookahead(hold_norm=share)


@pytest.mark.parametrize("strategy", EXACT)
def test_zero_gradients_give_a_finite_hypergradient(strategy: str) -> None:
    here = training(criterion=learned())
    inputs, targets, *rest = here.train_batches[0]
    # Every class is predicted with its own frequency, so the gradient of the only layer is zero.
    model = torch.nn.Linear(inputs.flatten(1).shape[1], CLASSES).double()
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    still = torch.zeros_like(inputs.flatten(1))
    even = torch.arange(len(targets) // CLASSES * CLASSES) % CLASSES
    batch = (still[: len(even)], even, *(r[: len(even)] for r in rest))
    found = Lookahead(strategy=strategy, hold_norm=1.0).hypergradient(
        model, torch.optim.SGD(model.parameters(), lr=0.1), here.criterion, [batch], batch
    )
    assert all(torch.isfinite(grad).all() for grad in found.values())
