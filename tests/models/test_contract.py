"""What a hypergradient needs of every model: functional calls, forward mode, double backward.

Both derivatives are compared with central differences in float64, in training (batch statistics)
and in evaluation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import pytest
import torch
import torch.autograd.forward_ad as fwd
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from metaloss import models


class Case(NamedTuple):
    """A model for five classes, and the height and width of its images."""

    build: Callable[[], nn.Module]
    size: int = 16


CASES = {
    "mlp": Case(lambda: models.MLP(3 * 16 * 16, 5, hidden=(20, 10))),
    "small_cnn": Case(lambda: models.SmallCNN(3, 5, width=4)),
    "lenet": Case(lambda: models.LeNet(3, 5, size=16, width=4, hidden=12)),
    "resnet8": Case(lambda: models.resnet8(5, width=4)),
    "resnet34": Case(lambda: models.resnet34(5, width=2)),
    "preact_resnet18": Case(lambda: models.preact_resnet18(5, width=2)),
    # It divides the image's sides by 32. A batch of single pixels would have almost no variance.
    "torchvision": Case(lambda: models.torchvision_model("shufflenet_v2_x0_5", 5), size=64),
}

Tensors = dict[str, Tensor]

# torch scripts its own rules when forward mode is first used.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def model(case: Case) -> nn.Module:
    torch.manual_seed(0)
    model = case.build().double()
    for module in model.modules():
        # With biases of 0 whole channels would sit at ReLU's kink, where differences are wrong.
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.bias, std=0.5)
            nn.init.normal_(module.running_mean, std=0.1)
    return model


@pytest.fixture
def inputs(case: Case) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 3, case.size, case.size, dtype=torch.float64, generator=generator)


def parameters_of(model: nn.Module) -> Tensors:
    return {name: p.detach().clone() for name, p in model.named_parameters()}


def call(model: nn.Module, parameters: Tensors, inputs: Tensor) -> Tensor:
    buffers = {name: b.clone() for name, b in model.named_buffers()}
    return functional_call(model, (parameters, buffers), (inputs,))


def gradient(model: nn.Module, parameters: Tensors, inputs: Tensor) -> list[Tensor]:
    leaves = {name: p.detach().requires_grad_() for name, p in parameters.items()}
    loss = F.cross_entropy(call(model, leaves, inputs), torch.arange(len(inputs)))
    return list(torch.autograd.grad(loss, leaves.values()))


def direction(parameters: Tensors) -> Tensors:
    """A random direction that moves every tensor by a tenth of its own size."""
    generator = torch.Generator().manual_seed(2)
    return {
        name: 0.1
        * p.square().mean().sqrt().clamp(min=0.01)
        * torch.randn(p.shape, dtype=p.dtype, generator=generator)
        for name, p in parameters.items()
    }


def moved(parameters: Tensors, along: Tensors, step: float) -> Tensors:
    return {name: p + step * along[name] for name, p in parameters.items()}


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_functional_call_is_the_call_and_leaves_the_model(
    model: nn.Module, inputs: Tensor, training: bool
) -> None:
    model.train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    outputs = call(model, parameters_of(model), inputs)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    torch.testing.assert_close(outputs, model(inputs), rtol=0, atol=0)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_forward_mode_agrees_with_differences(
    model: nn.Module, inputs: Tensor, training: bool
) -> None:
    model.train(training)
    parameters = parameters_of(model)
    along = direction(parameters)
    with fwd.dual_level():
        duals = {name: fwd.make_dual(p, along[name]) for name, p in parameters.items()}
        tangent = fwd.unpack_dual(call(model, duals, inputs)).tangent

    step = 1e-6
    after = call(model, moved(parameters, along, step), inputs)
    before = call(model, moved(parameters, along, -step), inputs)
    assert tangent.norm() > 1e-3
    difference = (after - before).detach() / (2 * step)
    assert (tangent - difference).norm() < 1e-6 * difference.norm()


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_double_backward_agrees_with_differences(
    model: nn.Module, inputs: Tensor, training: bool
) -> None:
    model.train(training)
    parameters = parameters_of(model)
    along = direction(parameters)
    leaves = {name: p.requires_grad_() for name, p in parameters.items()}
    loss = F.cross_entropy(call(model, leaves, inputs), torch.arange(len(inputs)))
    first = torch.autograd.grad(loss, leaves.values(), create_graph=True)
    product = sum((g * v).sum() for g, v in zip(first, along.values(), strict=True))
    second = torch.autograd.grad(product, leaves.values(), materialize_grads=True)

    step = 1e-7
    after = gradient(model, moved(parameters, along, step), inputs)
    before = gradient(model, moved(parameters, along, -step), inputs)
    differences = [(a - b) / (2 * step) for a, b in zip(after, before, strict=True)]
    exact, approximate = _flat(second), _flat(differences)
    assert exact.norm() > 1e-3
    assert (exact - approximate).norm() < 1e-5 * exact.norm()


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([t.detach().flatten() for t in tensors])
