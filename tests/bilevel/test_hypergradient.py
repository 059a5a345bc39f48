"""The hypergradient against the slopes of real training runs, in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metaloss import AdjustedLoss, Adjuster, BaseAdjuster, GroupedAdjuster, InputError
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
from tests.bilevel.models import CLASSES, MODELS, mlp
from tests.conditioners.cases import builders
from tests.helpers import states
from tests.helpers.exhaustive import mostly_exhaustive
from tests.helpers.hypergradients import (
    assert_is_the_hypergradient,
    features_on_the_way,
    loss_after_training,
)
from tests.losses.cases import families

exactly = pytest.mark.parametrize("strategy", EXACT)


def loss_id(loss: LossFamily) -> str:
    return str(loss)


# Every optimizer, fresh and in the middle of training


@exactly
@pytest.mark.parametrize("steps", [1, pytest.param(2, marks=pytest.mark.exhaustive), 3])
@pytest.mark.parametrize("steps_before", [0, 3])
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_through_every_optimizer(make, steps_before: int, steps: int, strategy: str):
    here = training(make_optimizer=make, steps=steps, steps_before=steps_before)
    found = here.look_ahead(Lookahead(steps, strategy))
    assert_is_the_hypergradient(found, here)


@exactly
@pytest.mark.parametrize("make", OPTIMIZERS.values(), ids=OPTIMIZERS.keys())
def test_one_step_with_the_features_held_fixed(make, strategy: str):
    """The paper's setting: its derivative is the whole one for a single step."""
    here = training(make_optimizer=make, criterion=learned(detach=True), steps_before=2)
    found = here.look_ahead(Lookahead(strategy=strategy))
    assert_is_the_hypergradient(found, here)


@exactly
@pytest.mark.parametrize("make", [OPTIMIZERS["SGD-Nesterov"], OPTIMIZERS["Adam"]])
def test_several_steps_with_the_features_held_fixed(make, strategy: str):
    """Then what the adjuster is told stays as it was, though the weights move."""
    here = training(make_optimizer=make, criterion=learned(detach=True), steps=3, steps_before=2)
    found = here.look_ahead(Lookahead(3, strategy))
    assert_is_the_hypergradient(found, here, features=features_on_the_way(here))


@exactly
@pytest.mark.parametrize(
    "make",
    [
        lambda p: torch.optim.Adam(p, lr=0.01),
        lambda p: torch.optim.AdamW(p, lr=0.01),
        lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.9),
    ],
    ids=["Adam", "AdamW", "RMSprop"],
)
def test_the_usual_eps_in_the_middle_of_training(make, strategy: str):
    here = training(make_optimizer=make, steps=2, steps_before=5)
    found = here.look_ahead(Lookahead(2, strategy))
    assert_is_the_hypergradient(found, here)


@exactly
@pytest.mark.parametrize("steps_before", [0, 2])
def test_each_group_of_parameters_has_its_own_settings(steps_before: int, strategy: str):
    model = mlp()

    def make(parameters):
        weights = [p for p in model.parameters() if p.ndim > 1]
        biases = [p for p in model.parameters() if p.ndim == 1]
        groups = [
            {"params": weights[:1], "lr": 0.4, "weight_decay": 0.2},
            {"params": biases, "lr": 0.05, "momentum": 0.0},
            {"params": weights[1:], "nesterov": True},
        ]
        return torch.optim.SGD(groups, lr=0.1, momentum=0.9)

    here = training(model, make, steps=2, steps_before=steps_before)
    found = here.look_ahead(Lookahead(2, strategy))
    assert_is_the_hypergradient(found, here)


@exactly
def test_the_learning_rate_of_now_counts(strategy: str):
    here = training(make_optimizer=OPTIMIZERS["SGD-momentum"])
    schedule = torch.optim.lr_scheduler.StepLR(here.optimizer, step_size=1, gamma=0.1)
    before = here.look_ahead(Lookahead(strategy=strategy))
    here.step(batch(100))
    schedule.step()
    assert here.optimizer.param_groups[0]["lr"] == pytest.approx(0.02)
    here.optimizer.param_groups[0]["weight_decay"] = 0.3
    after = here.look_ahead(Lookahead(strategy=strategy))
    assert_is_the_hypergradient(after, here)
    lengths = [sum(g.square().sum() for g in found.values()) ** 0.5 for found in (before, after)]
    assert lengths[1] < 0.5 * lengths[0]


# Every kind of model


@exactly
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(
    "build", mostly_exhaustive(MODELS, "CNN-BatchNorm", "attention", "tied", "frozen")
)
def test_through_every_model(build, steps: int, strategy: str):
    here = training(build(), OPTIMIZERS["SGD-Nesterov"], steps=steps, steps_before=2)
    found = here.look_ahead(Lookahead(steps, strategy))
    assert_is_the_hypergradient(found, here)


@exactly
@pytest.mark.parametrize("name", ["MLP-dropout", "CNN-BatchNorm", "tied", "frozen"])
def test_through_models_by_adam(name: str, strategy: str):
    here = training(MODELS[name](), OPTIMIZERS["Adam-decay"], steps=2, steps_before=2)
    found = here.look_ahead(Lookahead(2, strategy))
    assert_is_the_hypergradient(found, here)


class WithSpare(nn.Module):
    """One part is used for clean samples alone, so that no training loss reaches it."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.spare = mlp(), nn.Linear(CLASSES, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.body(x)
        return torch.tanh(self.spare(outputs)) * 3 if len(x) == 8 else outputs


@exactly
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("name", ["SGD-Nesterov", "AdamW", "RMSprop-momentum"])
def test_a_parameter_that_the_loss_does_not_reach_stays_put(name: str, steps: int, strategy: str):
    """``torch.optim`` skips it, weight decay and momentum included."""
    here = training(WithSpare(), OPTIMIZERS[name], steps=steps, steps_before=2)
    here.meta_batch = batch(50, size=8)[:2]
    lookahead = Lookahead(steps, strategy)
    assert_is_the_hypergradient(here.look_ahead(lookahead), here)
    # It did have a past, which must not be made use of.
    here.step(batch(60, size=8))
    here.optimizer.zero_grad()
    found = lookahead.solve(
        here.model, here.optimizer, here.criterion, here.train_batches, here.meta_batch
    )
    assert found.meta_loss.item() == pytest.approx(loss_after_training(here), rel=1e-12)
    assert_is_the_hypergradient(found.hypergradient, here)


class WithTwoWays(nn.Module):
    """Which part is used depends on the batch, as where experts or layers are switched."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.even, self.odd = mlp(), nn.Linear(3, 3), nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs = self.body(x)
        return outputs + torch.tanh(self.even(outputs) if len(x) % 2 == 0 else self.odd(outputs))


@exactly
def test_steps_that_reach_different_parameters_are_right_or_refused(strategy: str):
    here = training(WithTwoWays(), OPTIMIZERS["SGD-Nesterov"], steps=2)
    for sizes in ((10, 9), (9, 10)):
        here.train_batches = [batch(k, size) for k, size in enumerate(sizes)]
        try:
            found = here.look_ahead(Lookahead(2, strategy))
        except InputError as error:
            assert "parameters" in str(error)
        else:
            assert_is_the_hypergradient(found, here)


# Every loss, adjuster and conditioner


@exactly
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize(
    "loss", [family for family in families() if family.hyperparameters], ids=loss_id
)
def test_through_every_loss(loss: LossFamily, steps: int, strategy: str):
    here = training(criterion=learned(loss), steps=steps, steps_before=1)
    found = here.look_ahead(Lookahead(steps, strategy))
    assert_is_the_hypergradient(found, here)


class PerClass(BaseAdjuster):
    """One of one's own: a value for each class, and nothing else."""

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


@exactly
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("build", ADJUSTERS.values(), ids=ADJUSTERS.keys())
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
def test_what_no_sample_asks_for_gets_zero(strategy: str):
    """A head whose group is in no batch."""
    conditioner = Concat([Margin(), ClassGroup(3, groups=(0, 1, 1))])
    adjuster = GroupedAdjuster.for_loss(WeightedCE(), conditioner, num_groups=3, hidden=4)
    here = training(criterion=AdjustedLoss(WeightedCE(), conditioner, adjuster).double())
    found = here.look_ahead(Lookahead(strategy=strategy))
    taught = [bool(found["heads.bias"][g].abs() > 0) for g in range(3)]
    assert taught == [True, True, False]
    assert not found["heads.weight"][2].any()


@exactly
def test_what_nothing_depends_on_gets_zero(strategy: str):
    here = training()
    here.criterion.adjuster.register_parameter("spare", nn.Parameter(torch.ones(2).double()))
    found = here.look_ahead(Lookahead(strategy=strategy))
    assert found["spare"].tolist() == [0.0, 0.0]
    assert found["net.0.weight"].any()


@exactly
@pytest.mark.parametrize("name", builders())
def test_told_by_every_conditioner(name: str, strategy: str):
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
def test_all_that_an_adjuster_can_be_told_together(detach: bool, strategy: str):
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


# The clean loss


@exactly
@pytest.mark.parametrize("name", ["MLP", "MLP-dropout", "CNN-BatchNorm"])
@pytest.mark.parametrize("steps", [1, 3])
def test_the_clean_loss_is_that_after_the_real_steps(name: str, steps: int, strategy: str):
    here = training(MODELS[name](), OPTIMIZERS["Adam"], steps=steps, steps_before=1)
    found = Lookahead(steps, strategy).solve(
        here.model, here.optimizer, here.criterion, here.train_batches, here.meta_batch
    )
    assert found.meta_loss.shape == ()
    assert found.meta_loss.item() == pytest.approx(loss_after_training(here), rel=1e-12)


@exactly
def test_another_clean_loss(strategy: str):
    def squared(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.softmax(1) - F.one_hot(targets, CLASSES)).square().sum(1).mean()

    here = training(steps=2)
    found = here.look_ahead(Lookahead(2, strategy, meta_loss=squared))
    assert_is_the_hypergradient(found, here, meta_loss=squared)


# The strategies among themselves


@pytest.mark.parametrize("strategy", [name for name in EXACT if name != "unroll"])
@pytest.mark.parametrize("optimizer", ["SGD-Nesterov", "Adam-decay", "RMSprop-momentum"])
@pytest.mark.parametrize("detach", [True, False])
@pytest.mark.parametrize("name", ["MLP-ReLU", "MLP-dropout", "CNN-BatchNorm", "tied"])
def test_every_exact_strategy_gives_the_numbers_of_the_textbook(
    name: str, detach: bool, optimizer: str, strategy: str
):
    criterion = learned(detach=detach)
    here = training(MODELS[name](), OPTIMIZERS[optimizer], criterion, steps=4, steps_before=2)
    found, expected = (here.look_ahead(Lookahead(4, s)) for s in (strategy, "unroll"))
    for key in expected:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-9, atol=1e-13)
