"""Steps that are not what they are said to be are refused, in single precision too."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from metaloss import InputError
from metaloss.bilevel import ClipNorm, Lookahead, Lookback
from tests.bilevel.cases import OPTIMIZERS, training
from tests.bilevel.models import MODELS
from tests.helpers.hypergradients import Training, assert_near, in_single

pytestmark = pytest.mark.bad_input

Step = Callable[[Training, Tensor, Tensor, Tensor], None]


def plain(here: Training, x: Tensor, y: Tensor, index: Tensor) -> None:
    here.criterion(here.model(x), y, index).backward()


def random_before_the_forward(here: Training, x: Tensor, y: Tensor, index: Tensor) -> None:
    torch.rand(3)
    plain(here, x, y, index)


def noise_on_the_inputs(here: Training, x: Tensor, y: Tensor, index: Tensor) -> None:
    plain(here, x + 0.5 * torch.randn_like(x), y, index)


def half_of_the_batch(here: Training, x: Tensor, y: Tensor, index: Tensor) -> None:
    plain(here, x[::2], y[::2], index[::2])


def other_targets(here: Training, x: Tensor, y: Tensor, index: Tensor) -> None:
    plain(here, x, y.flip(0), index)


def mixed_up(here: Training, x: Tensor, y: Tensor, index: Tensor) -> None:
    outputs = here.model(0.6 * x + 0.4 * x.flip(0))
    loss = 0.6 * here.criterion(outputs, y, index) + 0.4 * here.criterion(outputs, y.flip(0), index)
    loss.backward()


def scaled_loss(here: Training, x: Tensor, y: Tensor, index: Tensor) -> None:
    (0.5 * here.criterion(here.model(x), y, index)).backward()


def clamped_past_autograd(here: Training, x: Tensor, y: Tensor, index: Tensor) -> None:
    plain(here, x, y, index)
    for p in here.model.parameters():
        p.grad.data.clamp_(-1e-4, 1e-4)


OTHER: list[Step] = [
    random_before_the_forward,
    noise_on_the_inputs,
    half_of_the_batch,
    other_targets,
    mixed_up,
    scaled_loss,
    clamped_past_autograd,
]


def make(here: Training, lookback: Lookback, step: Step, **settings) -> dict[str, Tensor]:
    x, y, index = batch = here.train_batches[0]
    with lookback.step(here.model, here.optimizer, here.criterion, batch, **settings):
        here.optimizer.zero_grad()
        step(here, x, y, index)
        if lookback.clip is not None:
            lookback.clip.clip_(here.model.parameters())
        here.optimizer.step()
    return lookback.hypergradient(here.meta_batch)


@pytest.mark.parametrize("clip", [None, ClipNorm(1e-3)], ids=["plain", "clipped"])
@pytest.mark.parametrize("step", OTHER)
def test_a_step_that_is_not_that_of_its_batch(step: Step, clip: ClipNorm | None) -> None:
    for seed in range(6):
        torch.manual_seed(seed)
        here = in_single(training(MODELS["MLP-dropout"](), OPTIMIZERS["SGD-momentum"]))
        with pytest.raises(InputError, match="expected"):
            make(here, Lookback(clip=clip), step)


def test_gradients_that_backward_did_not_leave() -> None:
    def by_autograd(here: Training, x: Tensor, y: Tensor, index: Tensor) -> None:
        loss = here.criterion(here.model(x), y, index)
        params = list(here.model.parameters())
        for p, g in zip(params, torch.autograd.grad(loss, params), strict=True):
            p.grad = g

    here = training()
    expected = here.look_ahead(Lookahead())
    assert_near(make(here, Lookback(), by_autograd), expected, 1e-9)
    with pytest.raises(InputError, match=r"gradients by backward\(\)"):
        make(training(), Lookback(clip=ClipNorm(1e-3)), by_autograd)


# Several steps


def two_steps(here: Training, between: Callable[[Training], None]) -> None:
    lookback = Lookback(2)
    x, y, index = batch = here.train_batches[0]
    for k in range(2):
        if k:
            between(here)
        with lookback.step(here.model, here.optimizer, here.criterion, batch):
            here.optimizer.zero_grad()
            plain(here, x, y, index)
            here.optimizer.step()
    lookback.hypergradient(here.meta_batch)


def another_optimizer(here: Training) -> None:
    here.optimizer = OPTIMIZERS["SGD-momentum"](here.model.parameters())


def a_shorter_memory(here: Training) -> None:
    for state in here.optimizer.state.values():
        state["momentum_buffer"].mul_(0.1)


def unfrozen(here: Training) -> None:
    here.model[1].weight.requires_grad_(True)


@pytest.mark.parametrize("between", [another_optimizer, a_shorter_memory, unfrozen])
def test_steps_that_do_not_follow_one_another(between: Callable[[Training], None]) -> None:
    model = MODELS["MLP"]()
    here = training(model, OPTIMIZERS["SGD-momentum"], steps_before=1)
    if between is unfrozen:
        model[1].weight.requires_grad_(False)
    with pytest.raises(InputError, match=r"expected 2 steps .* got 1"):
        two_steps(here, between)


def test_a_parameter_that_is_reached_late() -> None:
    model = MODELS["MLP"]()
    here = training(model, OPTIMIZERS["SGD-momentum"])
    lookback = Lookback(2)
    x, y, index = batch = here.train_batches[0]
    for k in range(2):
        with lookback.step(here.model, here.optimizer, here.criterion, batch):
            here.optimizer.zero_grad(set_to_none=True)
            outputs = here.model(x)
            outputs = outputs - model[3].bias + model[3].bias.detach() if k == 0 else outputs
            here.criterion(outputs, y, index).backward(inputs=list(model.parameters())[: 3 + k])
            here.optimizer.step()
    with pytest.raises(InputError, match="reach the same parameters"):
        lookback.hypergradient(here.meta_batch)


# Scalers and half precision


def test_a_step_that_a_scaler_skips_is_not_watched() -> None:
    here, lookback = training(), Lookback()
    scaler = torch.amp.GradScaler("cpu")
    x, y, index = batch = here.train_batches[0]
    with lookback.step(here.model, here.optimizer, here.criterion, batch, scaler=scaler):
        loss = here.criterion(here.model(x), y, index) * float("inf")
        scaler.scale(loss).backward()
        scaler.step(here.optimizer)
        scaler.update()
    assert lookback.watched == 0
    with pytest.raises(InputError, match="got none"):
        lookback.hypergradient(here.meta_batch)


@pytest.mark.parametrize("steps", [1, 2])
def test_a_step_that_is_left_out_is_forgotten_with_those_before_it(steps: int) -> None:
    here, lookback = training(), Lookback(steps)
    x, y, index = batch = here.train_batches[0]

    def one(taken: bool) -> None:
        with lookback.step(here.model, here.optimizer, here.criterion, batch, may_skip=True):
            here.optimizer.zero_grad()
            here.criterion(here.model(x), y, index).backward()
            if taken:
                here.optimizer.step()

    for taken in (True, False, True):
        one(taken)
    assert lookback.watched == 1
    for _ in range(steps - 1):
        one(True)
    theta = dict(here.criterion.adjuster.named_parameters())
    assert lookback.hypergradient(here.meta_batch).keys() == theta.keys()
    one(False)
    assert lookback.watched == 0
    with pytest.raises(InputError, match="got none"):
        lookback.hypergradient(here.meta_batch)


def test_a_scaler_with_an_optimizer_that_unscales_by_itself() -> None:
    def fused(params):
        return torch.optim.SGD(params, lr=0.2, momentum=0.9, fused=True)

    here = in_single(training(make_optimizer=fused))
    scaler, lookback = torch.amp.GradScaler("cpu", init_scale=256.0), Lookback()
    x, y, index = batch = here.train_batches[0]
    expected = here.look_ahead(Lookahead())
    with lookback.step(here.model, here.optimizer, here.criterion, batch, scaler=scaler):
        scaler.scale(here.criterion(here.model(x), y, index)).backward()
        scaler.step(here.optimizer)
        scaler.update()
    assert_near(lookback.hypergradient(here.meta_batch), expected, 1e-4)


def test_clipping_beside_a_scaler_that_was_not_declared() -> None:
    for seed in range(6):
        torch.manual_seed(seed)
        here, lookback = in_single(training(steps_before=1)), Lookback()
        scaler = torch.amp.GradScaler("cpu", init_scale=256.0)
        x, y, index = batch = here.train_batches[0]
        with lookback.step(here.model, here.optimizer, here.criterion, batch, scaler=scaler):
            here.optimizer.zero_grad()
            scaler.scale(here.criterion(here.model(x), y, index)).backward()
            scaler.unscale_(here.optimizer)
            ClipNorm(1e-3).clip_(here.model.parameters())
            scaler.step(here.optimizer)
        with pytest.raises(InputError, match="as the optimizer's rule says"):
            lookback.hypergradient(here.meta_batch)


def test_a_fresh_adam_in_half_precision_is_not_refused() -> None:
    """Its direction consists of rounding errors where gradients are close to zero."""

    def in_half(here: Training, x: Tensor, y: Tensor, index: Tensor) -> None:
        with torch.autocast("cpu", torch.bfloat16):
            outputs = here.model(x).float()
        here.criterion(outputs, y, index).backward()

    for seed in range(20):
        torch.manual_seed(seed)
        here = in_single(training(MODELS["CNN-BatchNorm"](), torch.optim.Adam))
        make(here, Lookback(), in_half)


# Smaller things


def test_activations_that_are_written_to_after_the_step() -> None:
    here = training()
    expected = here.look_ahead(Lookahead())
    held: list[Tensor] = []
    here.model[3].register_forward_hook(lambda _, __, out: held.append(out))
    lookback = Lookback(keep=1.0)
    x, y, index = batch = here.train_batches[0]
    with lookback.step(here.model, here.optimizer, here.criterion, batch):
        here.optimizer.zero_grad()
        plain(here, x, y, index)
        here.optimizer.step()
    with torch.no_grad():
        held[0].mul_(0.9)
    assert_near(lookback.hypergradient(here.meta_batch), expected, 1e-9)


def test_a_refusal_leaves_the_step_to_ask_again() -> None:
    here, lookback = training(), Lookback(np.int64(1))
    x, y, index = batch = here.train_batches[0]
    with lookback.step(here.model, here.optimizer, here.criterion, batch):
        here.optimizer.zero_grad()
        plain(here, x, y, index)
        here.optimizer.step()
    here.model.eval()
    with pytest.raises(InputError, match="mode that the step was made in"):
        lookback.hypergradient(here.meta_batch)
    here.model.train()
    lookback.hypergradient(here.meta_batch)
