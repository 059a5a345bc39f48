"""The initial prediction of an adjuster."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor

from metaloss import Adjuster, BaseAdjuster, GroupedAdjuster, InputError
from metaloss.conditioners import Margin
from metaloss.losses import GCE, SL, Fixed, Hyperparameter, LossFamily, PolySoft, Ranged
from tests.losses.cases import families

GROUPS = 3
LOSSES = [family for family in families() if family.hyperparameters]
LOSSES += [
    Ranged(PolySoft(), {"lam": (3.4, 10.0)}),
    Ranged(SL(), {"gamma_1": (0.2, 0.5)}),  # its default is below: it moves to the lower end
    Fixed(PolySoft(), {"d": 2.0}),
]
BUILDERS = {
    "Adjuster": partial(Adjuster, 2),
    "GroupedAdjuster": partial(GroupedAdjuster, 2 + GROUPS, GROUPS),
}
every_builder = pytest.mark.parametrize("build", BUILDERS.values(), ids=BUILDERS.keys())


def features(adjuster: BaseAdjuster, batch: int = 400) -> Tensor:
    """Return margins of an untrained network, and groups if the adjuster reads them."""
    found = 0.1 * torch.randn(batch, 2, generator=torch.Generator().manual_seed(0))
    groups = torch.eye(GROUPS)[torch.arange(batch) % GROUPS]
    return found if adjuster.num_features == 2 else torch.cat([found, groups], dim=1)


def shares(adjuster: BaseAdjuster, hparams: Tensor) -> Tensor:
    """Return the position of each hyperparameter in its range, from 0 to 1."""
    return (hparams - adjuster.low) / (adjuster.high - adjuster.low)


@every_builder
@pytest.mark.parametrize("loss", LOSSES, ids=str)
def test_it_starts_from_the_defaults(loss: LossFamily, build):
    adjuster = build(loss.hyperparameters)
    found = shares(adjuster, adjuster(features(adjuster)))
    for column, h in zip(found.unbind(1), loss.hyperparameters, strict=True):
        wanted = (h.default - h.low) / (h.high - h.low)
        wanted = min(max(wanted, 0.05), 0.95)
        assert column.mean().item() == pytest.approx(wanted, abs=0.12)


@every_builder
def test_to_the_digit_where_nothing_but_the_bias_counts(build):
    loss = PolySoft()
    adjuster = build(loss.hyperparameters)
    last = list(adjuster.modules())[-1]
    with torch.no_grad():
        last.weight.zero_()
    expected = torch.tensor([loss.defaults]).expand(6, 2)
    torch.testing.assert_close(adjuster(features(adjuster, 6)), expected)


@every_builder
@pytest.mark.parametrize("end", [0.0, 1.0])
def test_a_default_at_an_end_is_near_it_and_can_still_be_learned(end: float, build):
    """Adam, whose steps do not depend on the slope, brings it back to the middle."""
    torch.manual_seed(0)
    adjuster = build((Hyperparameter("h", 0.0, 1.0, default=end),))
    told = features(adjuster)
    assert (adjuster(told) - end).abs().mean() < 0.1
    optimizer = torch.optim.Adam(adjuster.parameters(), lr=1e-2)
    for _ in range(50):
        optimizer.zero_grad()
        (adjuster(told) - 0.5).square().mean().backward()
        optimizer.step()
    assert (adjuster(told) - 0.5).abs().mean() < 0.1


@every_builder
def test_the_paper_starts_in_the_middle(build):
    adjuster = build(SL().hyperparameters, initial="middle")
    found = adjuster(features(adjuster)).mean(dim=0)
    torch.testing.assert_close(found, torch.tensor([0.5, 0.5]), atol=0.1, rtol=0)


@every_builder
def test_the_draws_are_the_same_wherever_it_starts(build):
    kept = []
    for initial in ("defaults", "middle"):
        torch.manual_seed(3)
        adjuster = build(GCE().hyperparameters, initial=initial)
        kept.append((dict(adjuster.named_parameters()), torch.rand(1)))
    (ours, after), (theirs, then) = kept
    assert torch.equal(after, then)
    differing = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert differing == [list(ours)[-1]]  # the last layer's bias


def test_fitted_to_a_loss():
    adjuster = Adjuster.for_loss(GCE(), Margin(), initial="middle")
    assert adjuster.initial == "middle"
    assert Adjuster.for_loss(GCE(), Margin()).initial == "defaults"


@pytest.mark.bad_input
@every_builder
@pytest.mark.parametrize("initial", ["paper", "", None, 0.5])
def test_it_starts_nowhere_else(initial, build):
    with pytest.raises(InputError, match=r"initial: expected one of defaults, middle, got"):
        build(GCE().hyperparameters, initial=initial)
