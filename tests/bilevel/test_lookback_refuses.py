"""A lookback refuses steps that did not follow the optimizer's rule, and missing steps."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloss import InputError
from metaloss.bilevel import Lookback
from tests.bilevel.cases import OPTIMIZERS, learned, training
from tests.bilevel.models import CLASSES, mlp
from tests.helpers.hypergradients import Training

pytestmark = pytest.mark.bad_input


def step(here: Training, lookback: Lookback, *, due: bool = True, between=None, after=None) -> None:
    inputs, targets, index = here.train_batches[0]
    with lookback.step(
        here.model, here.optimizer, here.criterion, (inputs, targets, index), due=due
    ):
        here.optimizer.zero_grad()
        here.criterion(here.model(inputs), targets, index).backward()
        if between is not None:
            between(here.model)
        here.optimizer.step()
        if after is not None:
            after(here.model)


def refused(call, *words: str) -> None:
    with pytest.raises(InputError) as caught:
        call()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value), str(caught.value)


def ask(here: Training, lookback: Lookback) -> None:
    lookback.hypergradient(here.meta_batch)


def test_before_any_step() -> None:
    here = training()
    refused(lambda: ask(here, Lookback()), "expected a new step inside of step(", "got none")


def test_twice_after_one_step() -> None:
    here, lookback = training(), Lookback()
    step(here, lookback)
    ask(here, lookback)
    refused(lambda: ask(here, lookback), "expected a new step", "got none")


def test_after_a_step_that_was_not_due() -> None:
    here, lookback = training(), Lookback()
    step(here, lookback)
    step(here, lookback, due=False)
    refused(lambda: ask(here, lookback), "got none")


def test_unwatched_steps_in_between() -> None:
    here, lookback = training(), Lookback(3)
    step(here, lookback)
    step(here, lookback)
    here.step(here.train_batches[0])
    step(here, lookback)
    refused(lambda: ask(here, lookback), "expected 3 steps in a row", "got 1")


def test_nothing_stepped() -> None:
    here, lookback = training(), Lookback()

    def nothing() -> None:
        with lookback.step(here.model, here.optimizer, here.criterion, here.train_batches[0]):
            pass

    refused(nothing, "one step of the optimizer", "got 0", "scaler")
    refused(lambda: ask(here, lookback), "got none")


def test_a_step_without_gradients() -> None:
    here, lookback = training(), Lookback()
    nothing = lambda _: here.optimizer.zero_grad()  # noqa: E731
    refused(lambda: step(here, lookback, between=nothing), "expected gradients", "got none")


def test_two_steps_at_once() -> None:
    here, lookback = training(), Lookback()
    refused(
        lambda: step(here, lookback, after=lambda _: here.optimizer.step()),
        "one step of the optimizer",
        "got 2",
    )


def test_undeclared_clipping() -> None:
    here, lookback = training(), Lookback()
    clipped = lambda model: nn.utils.clip_grad_norm_(model.parameters(), 1e-2)  # noqa: E731
    refused(lambda: step(here, lookback, between=clipped), "was written", "Lookback(clip=...)")


def test_weights_that_other_code_writes() -> None:
    here, lookback = training(), Lookback()

    def decay(model: nn.Module) -> None:
        with torch.no_grad():
            model[1].weight.mul_(0.9)

    step(here, lookback, after=decay)
    refused(lambda: ask(here, lookback), "moves 1.weight", "wrote to the weights")


@pytest.mark.parametrize("which", [0, 1])
def test_one_of_two_steps_that_leaves_the_rule(which: int) -> None:
    here, lookback = training(), Lookback(steps=2)
    for k in range(2):
        turned = lambda model: model[1].bias.data.add_(1)  # noqa: E731 - out of a mark's sight
        step(here, lookback, after=turned if k == which else None)
    refused(lambda: ask(here, lookback), "moves 1.bias", "wrote to the weights")


def test_a_hook_that_changes_a_gradient() -> None:
    here, lookback = training(), Lookback()
    here.model[1].weight.register_hook(lambda g: g / 2)
    refused(lambda: step(here, lookback), "1.weight has the hook")


class Halved(torch.autograd.Function):
    """A function that halves the gradient, out of a lookback's sight."""

    @staticmethod
    def forward(ctx, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx, slope: torch.Tensor) -> torch.Tensor:
        return slope / 2


@pytest.mark.parametrize("strategy", ["mixed", "unroll", "difference"])
def test_a_gradient_that_is_not_that_of_the_batch(strategy: str) -> None:
    here, lookback = training(), Lookback(strategy=strategy)
    inputs, targets, index = batch = here.train_batches[0]
    with lookback.step(here.model, here.optimizer, here.criterion, batch):
        here.optimizer.zero_grad()
        here.criterion(Halved.apply(here.model(inputs)), targets, index).backward()
        here.optimizer.step()
    refused(lambda: ask(here, lookback), "expected")


def test_weights_that_change_after_the_step() -> None:
    here, lookback = training(), Lookback()
    step(here, lookback)
    with torch.no_grad():
        here.model[1].weight.add_(1.0)
    refused(lambda: ask(here, lookback), "1.weight changed since")


def test_an_adjuster_that_changes_before_the_hypergradient() -> None:
    here, lookback = training(), Lookback()
    step(here, lookback)
    with torch.no_grad():
        next(here.criterion.adjuster.parameters()).add_(1.0)
    refused(lambda: ask(here, lookback), "it has moved since")


def test_another_mode() -> None:
    here, lookback = training(nn.Sequential(mlp(), nn.Dropout(0.1))), Lookback()
    step(here, lookback)
    here.model.eval()
    refused(lambda: ask(here, lookback), "mode that the step was made in")


@pytest.mark.parametrize("changed", ["model", "criterion"])
def test_steps_of_different_trainings(changed: str) -> None:
    here, lookback = training(), Lookback(2)
    step(here, lookback)
    if changed == "model":
        here = training(make_optimizer=OPTIMIZERS["Adam"])
    else:
        here.criterion = learned()
    step(here, lookback)
    refused(lambda: ask(here, lookback), "expected 2 steps", "got 1")


def test_a_clean_batch_that_is_not_finite() -> None:
    here, lookback = training(), Lookback()
    step(here, lookback)
    inputs, targets = here.meta_batch
    refused(lambda: lookback.hypergradient((inputs * float("nan"), targets)), "meta_batch: inputs")


def test_an_error_inside_the_step_is_passed_on() -> None:
    here, lookback = training(), Lookback()
    with pytest.raises(ZeroDivisionError):
        step(here, lookback, between=lambda _: 1 / 0)
    refused(lambda: ask(here, lookback), "got none")
    assert not here.optimizer._optimizer_step_pre_hooks


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"steps": 0}, "steps"),
        ({"hold_norm": 2.0}, "hold_norm"),
        ({"clip": 1.0}, "clip"),
        ({"strategy": "backward"}, "strategy"),
        ({"keep": -1.0}, "keep"),
    ],
)
def test_settings(settings: dict, word: str) -> None:
    refused(lambda: Lookback(**settings), f"{word}: expected")


@pytest.mark.parametrize(
    ("meta_loss", "got"),
    [
        (nn.CrossEntropyLoss(reduction="none"), "got torch.float64 [10]"),
        (lambda outputs, targets: 1.0, "got a float"),
        (lambda outputs, targets: outputs.detach().sum(), "[] without one"),
    ],
)
def test_a_meta_loss_that_is_no_scalar_with_a_gradient(meta_loss, got: str) -> None:
    here, lookback = training(), Lookback(meta_loss=meta_loss)
    step(here, lookback)
    refused(lambda: ask(here, lookback), "meta_loss: expected a function that returns", got)


def test_autocast_is_true_or_false() -> None:
    refused(lambda: Lookback(autocast="bfloat16"), "autocast: expected True or False")  # type: ignore[arg-type]


def test_sparse_gradients() -> None:
    embedding = nn.Embedding(5, CLASSES, sparse=True).double()
    criterion, optimizer = learned(), torch.optim.SGD(embedding.parameters(), lr=0.1)
    words, targets = torch.arange(4), torch.arange(4) % CLASSES

    def look() -> None:
        lookback = Lookback()
        with lookback.step(embedding, optimizer, criterion, (words, targets)):
            optimizer.zero_grad()
            criterion(embedding(words), targets).backward()
            optimizer.step()
        lookback.hypergradient((words, targets))

    refused(look, "expected dense gradients, got a sparse one of", "sparse=False")
