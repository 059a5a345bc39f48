"""The hypergradient through every loss, adjuster and conditioner, against real training."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from metaloss import AdjustedLoss, Adjuster, BaseAdjuster, GroupedAdjuster
from metaloss.bilevel import Lookahead
from metaloss.conditioners import (
    ClassGroup,
    ClassOneHot,
    Concat,
    LossValue,
    Margin,
    MovingAverage,
    Progress,
)
from metaloss.losses import GCE, LossFamily, WeightedCE
from tests.adjusters.cases import learnable
from tests.bilevel.cases import EXACT, OPTIMIZERS, SAMPLES, batch, learned, training, two_features
from tests.bilevel.models import CLASSES, MODELS
from tests.conditioners.cases import builders
from tests.helpers import states
from tests.helpers.exhaustive import all_pairs, mostly_exhaustive
from tests.helpers.hypergradients import (
    assert_is_the_hypergradient,
    features_on_the_way,
)
from tests.losses.cases import families

exactly = pytest.mark.parametrize("strategy", EXACT)


@all_pairs(
    "loss, steps, strategy",
    [family for family in families() if family.hyperparameters],
    [1, 2],
    EXACT,
)
def test_through_every_loss(loss: LossFamily, steps: int, strategy: str):
    here = training(criterion=learned(loss), steps=steps, steps_before=1)
    found = here.look_ahead(Lookahead(steps, strategy))
    assert_is_the_hypergradient(found, here)


class PerClass(BaseAdjuster):
    """A custom adjuster with one value for each class."""

    def __init__(self, loss: LossFamily) -> None:
        super().__init__(loss.hyperparameters)
        self.num_features = CLASSES
        self.table = nn.Parameter(torch.zeros(CLASSES, len(loss.hyperparameters)))

    def forward(self, features: Tensor) -> Tensor:
        return self.bounded(features @ self.table)


ADJUSTERS = {
    "Adjuster": lambda: (two_features(), Adjuster.for_loss(WeightedCE(), two_features(), 5)),
    "GroupedAdjuster": lambda: (
        Concat([LossValue(), ClassGroup(2, groups=(0, 1, 1))]),
        GroupedAdjuster(3, 2, WeightedCE().hyperparameters, hidden=5),
    ),
    "one's own": lambda: (ClassOneHot(CLASSES), PerClass(WeightedCE())),
}


def test_every_learnable_adjuster_is_here():
    assert set(learnable()) <= set(ADJUSTERS)


@all_pairs("build, steps, strategy", ADJUSTERS, [1, 2], EXACT)
def test_into_every_adjuster(build, steps: int, strategy: str):
    conditioner, adjuster = build()
    criterion = AdjustedLoss(WeightedCE(), conditioner, adjuster, detach=False).double()
    here = training(criterion=criterion, steps=steps, steps_before=1)
    found = here.look_ahead(Lookahead(steps, strategy))
    assert found.keys() == dict(adjuster.named_parameters()).keys()
    assert_is_the_hypergradient(found, here)


@exactly
def test_into_a_part_of_an_adjuster(strategy: str):
    here = training(steps=2)
    adjuster = here.criterion.adjuster
    adjuster.net[0].requires_grad_(False)
    found = here.look_ahead(Lookahead(2, strategy))
    assert set(found) == {"net.2.weight", "net.2.bias"}
    assert_is_the_hypergradient(found, here)


@exactly
def test_heads_that_no_sample_uses_get_zero(strategy: str):
    """The group of one head is in no batch."""
    conditioner = Concat([Margin(), ClassGroup(3, groups=(0, 1, 1))])
    adjuster = GroupedAdjuster.for_loss(WeightedCE(), conditioner, num_groups=3, hidden=4)
    here = training(criterion=AdjustedLoss(WeightedCE(), conditioner, adjuster).double())
    found = here.look_ahead(Lookahead(strategy=strategy))
    taught = [bool(found["heads.bias"][g].abs() > 0) for g in range(3)]
    assert taught == [True, True, False]
    assert not found["heads.weight"][2].any()


@exactly
def test_parameters_that_the_loss_does_not_use_get_zero(strategy: str):
    here = training()
    here.criterion.adjuster.register_parameter("spare", nn.Parameter(torch.ones(2).double()))
    found = here.look_ahead(Lookahead(strategy=strategy))
    assert found["spare"].tolist() == [0.0, 0.0]
    assert found["net.0.weight"].any()


@pytest.mark.parametrize("strategy", mostly_exhaustive(EXACT, "mixed"))
@pytest.mark.parametrize("name", builders())
def test_through_every_conditioner(name: str, strategy: str):
    conditioner = builders()[name](CLASSES)
    labels = torch.arange(SAMPLES).remainder(7).clamp(max=2)
    conditioner.prepare(labels, CLASSES)
    conditioner.set_progress(0.4)
    for seed in (7, 8):
        _, targets, index = batch(seed, size=15)
        conditioner.observe(torch.randn(15, CLASSES).double(), targets, index)
    here = training(criterion=learned(conditioner=conditioner), steps=2, steps_before=1)
    memory = states.of_module(conditioner)
    found = here.look_ahead(Lookahead(2, strategy))
    assert_is_the_hypergradient(found, here)
    assert states.same(states.of_module(conditioner), memory), "a lookahead is not remembered"


@exactly
@pytest.mark.parametrize("detach", [True, False])
def test_through_all_conditioners_together(detach: bool, strategy: str):
    group = ClassGroup(2)
    conditioner = Concat([MovingAverage(Margin()), LossValue(), Progress(), group])
    adjuster = GroupedAdjuster.for_loss(GCE(), conditioner, num_groups=2, hidden=5)
    criterion = AdjustedLoss(GCE(), conditioner, adjuster, detach).double()
    criterion.prepare(torch.arange(SAMPLES).remainder(7).clamp(max=2), CLASSES)
    criterion.progress(0.6)
    here = training(MODELS["CNN-BatchNorm"](), OPTIMIZERS["SGD-Nesterov"], criterion, steps=2)
    for k in range(4):
        inputs, targets, index = batch(200 + k)
        criterion.observe(here.model(inputs), targets, index)
        here.step(batch(200 + k))
    assert conditioner.conditioners[0].seen.sum() > 20
    found = here.look_ahead(Lookahead(2, strategy))
    features = features_on_the_way(here) if detach else None
    assert_is_the_hypergradient(found, here, features=features)
