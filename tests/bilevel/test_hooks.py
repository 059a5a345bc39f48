"""Hooks that may change gradients are refused by name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)

from metaloss import InputError
from metaloss.bilevel import Lookahead
from metaloss.bilevel.lookahead import STRATEGIES
from metaloss.diagnostics.gradients.subject import Size, subjects
from metaloss.experiments import Adjusted, Experiment
from metaloss.losses import GCE
from metaloss.training import Recipe
from tests.bilevel.cases import training
from tests.bilevel.models import mlp
from tests.helpers.tasks import blobs

every_strategy = pytest.mark.parametrize("strategy", list(STRATEGIES))


def halved(grad: torch.Tensor) -> torch.Tensor:
    return grad / 2


def halved_there(p: torch.Tensor) -> None:
    p.grad /= 2


def halved_in_module(module: nn.Module, inputs: tuple, outputs: tuple) -> tuple:
    return tuple(None if g is None else g / 2 for g in inputs)


def halved_before_module(module: nn.Module, outputs: tuple) -> tuple:
    return tuple(g / 2 for g in outputs)


def clipped(optimizer: torch.optim.Optimizer, *_: object) -> None:
    for group in optimizer.param_groups:
        nn.utils.clip_grad_norm_(group["params"], 0.1)


ON_THE_MODEL: dict[str, Callable[[nn.Module], object]] = {
    "halved": lambda model: model[1].weight.register_hook(halved),
    "halved_there": lambda model: model[1].weight.register_post_accumulate_grad_hook(halved_there),
    "halved_in_module": lambda model: model[1].register_full_backward_hook(halved_in_module),
    "halved_before_module": lambda model: model[1].register_full_backward_pre_hook(
        halved_before_module
    ),
}
ON_THE_OPTIMIZER: dict[str, Callable[[torch.optim.Optimizer], object]] = {
    "before": lambda optimizer: optimizer.register_step_pre_hook(clipped),
    "after": lambda optimizer: optimizer.register_step_post_hook(clipped),
}


@every_strategy
@pytest.mark.parametrize(("name", "put"), ON_THE_MODEL.items(), ids=ON_THE_MODEL.keys())
def test_hooks_of_a_model(name: str, put: Callable, strategy: str) -> None:
    here = training()
    handle = put(here.model)
    with pytest.raises(
        InputError, match=rf"model: expected .*1.* {name}, which a lookahead cannot"
    ):
        here.look_ahead(Lookahead(strategy=strategy))
    handle.remove()
    here.look_ahead(Lookahead(strategy=strategy))


@every_strategy
@pytest.mark.parametrize("put", ON_THE_OPTIMIZER.values(), ids=ON_THE_OPTIMIZER.keys())
def test_hooks_of_an_optimizer(put: Callable, strategy: str) -> None:
    here = training()
    handle = put(here.optimizer)
    with pytest.raises(InputError, match=r"optimizer: .* got clipped, .* clip=ClipNorm\(...\)"):
        here.look_ahead(Lookahead(strategy=strategy))
    handle.remove()
    here.look_ahead(Lookahead(strategy=strategy))


@pytest.mark.parametrize(
    "register", [register_optimizer_step_pre_hook, register_optimizer_step_post_hook]
)
def test_hooks_of_all_optimizers(register: Callable) -> None:
    handle = register(clipped)
    try:
        with pytest.raises(InputError, match=r"optimizer: expected a step without hooks"):
            training().look_ahead(Lookahead())
    finally:
        handle.remove()


@pytest.mark.parametrize("name", ["halved", "halved_there"])
def test_hooks_of_frozen_parameters_do_nothing(name: str) -> None:
    here = training()
    weight = here.model[1].weight
    ON_THE_MODEL[name](here.model)
    weight.requires_grad_(False)
    here.look_ahead(Lookahead())


@pytest.mark.parametrize("name", ["halved", "halved_in_module"])
def test_hooks_are_found_before_the_model_is_copied(name: str) -> None:
    def model() -> nn.Module:
        made = nn.Sequential(nn.Flatten(), nn.Linear(5, 3))
        ON_THE_MODEL[name](made)
        return made

    experiment = Experiment(
        task=blobs, model=model, methods=[Adjusted(name="A", loss=GCE())], recipe=Recipe(epochs=1)
    )
    with pytest.raises(InputError, match=f"{name}, which a lookahead cannot"):
        list(subjects(experiment, Size(batch=4)))


@every_strategy
@pytest.mark.parametrize("kind", [nn.DataParallel])
def test_data_parallelism(kind: type[nn.Module], strategy: str) -> None:
    here = training()
    with pytest.raises(
        InputError, match=rf"which each process holds the whole, .* got {kind.__name__}"
    ):
        here.look_ahead(Lookahead(strategy=strategy), model=kind(here.model))


def test_hooks_that_change_no_gradient_are_allowed() -> None:
    here = training(mlp())
    expected = here.look_ahead(Lookahead())
    calls = []
    here.model.register_forward_hook(lambda *_: calls.append("forward"))
    found = here.look_ahead(Lookahead())
    assert calls
    for name, gradient in found.items():
        torch.testing.assert_close(gradient, expected[name])
