"""A lookahead leaves the training unchanged."""

from __future__ import annotations

import copy

import pytest
import torch
import torchopt
from torch import Tensor, nn

from metaloss.bilevel import Lookahead
from metaloss.bilevel.lookahead import STRATEGIES
from metaloss.conditioners import MovingAverage, Progress
from metaloss.types import Batch
from tests.bilevel.cases import OPTIMIZERS, SAMPLES, batch, learned, training
from tests.bilevel.models import CLASSES, MODELS
from tests.helpers import states
from tests.helpers.exhaustive import all_pairs
from tests.helpers.hypergradients import Training

every_strategy = pytest.mark.parametrize("strategy", list(STRATEGIES))


def everything(here: Training) -> dict:
    """Return all state that a lookahead could disturb."""
    return {
        "model": states.of_module(here.model),
        "criterion": states.of_module(here.criterion),
        "tensors": [states.identities(m) for m in (here.model, here.criterion)],
        "optimizer": copy.deepcopy(here.optimizer.state_dict()),
        "optimizer's entries": len(here.optimizer.state),
        "batches": [[part.clone() for part in b] for b in (*here.train_batches, here.meta_batch)],
        "random numbers": torch.get_rng_state(),
        "gradients are recorded": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
    }


def assert_same(now: dict, before: dict) -> None:
    for what, value in before.items():
        assert states.same(now[what], value), f"{what} changed"


@all_pairs(
    "trained, steps_before, steps, strategy",
    [
        ("MLP-dropout", "AdamW"),
        ("centred", "RMSprop-centered"),
        ("CNN-BatchNorm", "SGD-Nesterov"),
        ("CNN-BatchNorm-eval", "AdamW"),
        ("tied", "SGD-Nesterov"),
        ("frozen", "RMSprop-momentum"),
    ],
    [0, 2],
    [1, 2],
    list(STRATEGIES),
)
def test_everything_is_unchanged(
    trained: tuple[str, str], steps_before: int, steps: int, strategy: str
):
    name, optimizer = trained
    here = training(MODELS[name](), OPTIMIZERS[optimizer], steps=steps, steps_before=steps_before)
    parameters = list(here.model.parameters())
    parameters[-1].grad = torch.full_like(parameters[-1], 3.0)
    theta = list(here.criterion.adjuster.parameters())
    theta[0].grad = torch.full_like(theta[0], -2.0)
    before = everything(here)
    first = here.look_ahead(Lookahead(steps, strategy))
    assert_same(everything(here), before)
    again = here.look_ahead(Lookahead(steps, strategy))
    assert states.same(first, again), "the same from the same place"


@every_strategy
@pytest.mark.parametrize("detach", [True, False])
def test_the_conditioners_memory_is_unchanged(detach: bool, strategy: str):
    conditioner = MovingAverage(Progress())
    criterion = learned(conditioner=conditioner, detach=detach)
    criterion.prepare(torch.zeros(SAMPLES, dtype=torch.int64), CLASSES)
    criterion.progress(0.5)
    here = training(criterion=criterion, steps=2)
    before = everything(here)
    here.look_ahead(Lookahead(2, strategy))
    assert_same(everything(here), before)
    assert not conditioner.seen.any()


class Failing(nn.Module):
    """Fails in its second forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.body = MODELS["CNN-BatchNorm"]()
        self.drop = nn.Dropout(0.5)
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == 2:
            raise RuntimeError("out of memory, say")
        return self.drop(self.body(x))


@every_strategy
def test_everything_is_unchanged_after_a_failure(strategy: str):
    here = training(Failing(), OPTIMIZERS["Adam"])
    before = everything(here)
    with pytest.raises(RuntimeError, match="out of memory, say"):
        here.look_ahead(Lookahead(strategy=strategy))
    assert_same(everything(here), before)


@every_strategy
@pytest.mark.parametrize(
    "make",
    [
        OPTIMIZERS["Adam"],
        lambda p: torchopt.SGD(list(p), lr=0.2, momentum=0.9, nesterov=True),
        lambda p: torchopt.AdamW(list(p), lr=0.05),
    ],
    ids=["Adam", "torchopt.SGD", "torchopt.AdamW"],
)
def test_lookaheads_do_not_change_a_training(make, strategy: str):
    runs = []
    for steps in (0, 2):
        torch.manual_seed(5)
        model = nn.Sequential(MODELS["CNN-BatchNorm"](), nn.Dropout(0.2))
        here = training(model, make, steps=steps)
        for k in range(2):
            if steps:
                here.look_ahead(Lookahead(steps, strategy))
            here.step(batch(300 + k))
        runs.append(states.of_module(here.model))
    assert states.same(*runs)


# The returned hypergradient


@every_strategy
def test_the_hypergradient_is_detached_and_shares_no_memory(strategy: str):
    here = training(steps=2)
    found = here.look_ahead(Lookahead(2, strategy))
    theta = dict(here.criterion.adjuster.named_parameters())
    assert list(found) == list(theta)
    for name, gradient in found.items():
        assert gradient.shape == theta[name].shape
        assert gradient.dtype == theta[name].dtype
        assert not gradient.requires_grad
    before = everything(here)
    for gradient in found.values():
        gradient.fill_(7.0)
    assert_same(everything(here), before)


@every_strategy
def test_the_meta_loss_keeps_no_graph(strategy: str):
    here = training()
    found = Lookahead(strategy=strategy).solve(
        here.model, here.optimizer, here.criterion, here.train_batches, here.meta_batch
    )
    assert not found.meta_loss.requires_grad
    assert found.hypergradient.keys() == dict(here.criterion.adjuster.named_parameters()).keys()


@every_strategy
def test_under_no_grad_the_result_is_the_same(strategy: str):
    here = training(MODELS["CNN-BatchNorm"](), steps=2)
    expected = here.look_ahead(Lookahead(2, strategy))
    with torch.no_grad():
        found = here.look_ahead(Lookahead(2, strategy))
        assert not torch.is_grad_enabled()
    assert states.same(found, expected)


@every_strategy
def test_batches_by_name_or_by_place(strategy: str):
    here = training(steps=2)
    expected = here.look_ahead(Lookahead(2, strategy))
    named = [Batch(*b) for b in here.train_batches]
    pairs = [b[:2] for b in here.train_batches]
    for batches in (named, pairs, tuple(named)):
        found = here.look_ahead(
            Lookahead(2, strategy), train_batches=batches, meta_batch=Batch(*here.meta_batch)
        )
        assert states.same(found, expected)


@every_strategy
def test_single_precision(strategy: str):
    here = training(MODELS["CNN-BatchNorm"](), OPTIMIZERS["Adam"], steps=2, steps_before=1)
    exact = here.look_ahead(Lookahead(2, strategy))
    for module in (here.model, here.criterion):
        module.float()
    for state in here.optimizer.state.values():
        state.update({k: v.float() for k, v in state.items()})
    here.train_batches = [(x.float(), *rest) for x, *rest in here.train_batches]
    here.meta_batch = here.meta_batch[0].float(), here.meta_batch[1]
    found = here.look_ahead(Lookahead(2, strategy))
    length = sum(g.square().sum() for g in exact.values()) ** 0.5
    for name, gradient in found.items():
        assert gradient.dtype == torch.float32
        assert (gradient - exact[name]).norm() < 2e-3 * length
