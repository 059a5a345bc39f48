"""Models that change from call to call: random numbers are replayed, other changes refused."""

from __future__ import annotations

import random
from collections.abc import Callable

import jaxtyping
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from metaloss import InputError
from metaloss.bilevel import Lookahead
from metaloss.bilevel.consistency import (
    Pass,
    Slope,
    disagreement,
    outputs_differ,
    real_step_differs,
    slope_along,
)
from metaloss.bilevel.lookahead import STRATEGIES
from tests.bilevel.cases import training
from tests.bilevel.models import CLASSES
from tests.helpers.hypergradients import Training, assert_is_the_hypergradient, in_single

every_strategy = pytest.mark.parametrize("strategy", list(STRATEGIES))
twice = pytest.mark.parametrize("strategy", ["mixed", "difference"])


class Masked(nn.Module):
    """A network with dropout by a mask from a given function."""

    def __init__(self, mask: Callable[[int, int], Tensor]) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(36, 16), nn.Linear(16, CLASSES)
        self.mask = mask

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x.flatten(1)))
        return self.last(2 * hidden * self.mask(*hidden.shape))


def by_numpy(rows: int, columns: int) -> Tensor:
    return torch.from_numpy(np.random.rand(rows, columns) < 0.5)  # noqa: NPY002


def by_python(rows: int, columns: int) -> Tensor:
    return torch.tensor([[random.random() < 0.5 for _ in range(columns)] for _ in range(rows)])


GLOBAL = {"numpy": by_numpy, "python": by_python}


class Own:
    """A mask from a private random generator."""

    def __init__(self, kind: str) -> None:
        self.numpy = np.random.default_rng(0) if kind == "numpy" else None
        self.torch = torch.Generator().manual_seed(0)

    def __call__(self, rows: int, columns: int) -> Tensor:
        if self.numpy is None:
            return torch.rand(rows, columns, generator=self.torch) < 0.5
        return torch.from_numpy(self.numpy.random((rows, columns)) < 0.5)


class Counting(nn.Module):
    """A network that scales its outputs by the number of calls."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES))
        self.calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.body(x) * (1 + 0.1 * self.calls)


def seeded(here: Training) -> Training:
    random.seed(3)
    np.random.seed(3)  # noqa: NPY002
    return here


@every_strategy
@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("kind", GLOBAL)
def test_global_generators_are_replayed_and_left_alone(
    kind: str, steps: int, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # beartype, the type checker in tests, draws from Python's generator.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    here = seeded(training(Masked(GLOBAL[kind]), steps=steps))
    python, numpy = random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    place = np.random.get_state()[2]  # noqa: NPY002
    found = here.look_ahead(Lookahead(steps, strategy))
    assert random.getstate() == python
    assert np.random.get_state()[1].tolist() == numpy  # noqa: NPY002
    assert np.random.get_state()[2] == place  # noqa: NPY002
    twin = here.twin
    # Real training draws the same masks.
    monkeypatch.setattr(here, "twin", lambda: seeded(twin()), raising=False)
    assert_is_the_hypergradient(found, here, rtol=1e-5)


@twice
@pytest.mark.parametrize("single", [False, True], ids=["float64", "float32"])
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_private_generators_of_a_model_are_refused(kind: str, single: bool, strategy: str) -> None:
    here = training(Masked(Own(kind)))
    here = in_single(here) if single else here
    with pytest.raises(InputError, match=r"expected .*(same outputs|change with the weights)"):
        here.look_ahead(Lookahead(strategy=strategy))


@twice
@pytest.mark.parametrize("single", [False, True], ids=["float64", "float32"])
def test_a_model_that_counts_its_calls_is_refused(single: bool, strategy: str) -> None:
    here = training(Counting())
    here = in_single(here) if single else here
    with pytest.raises(InputError, match=r"expected .*(same outputs|change with the weights)"):
        here.look_ahead(Lookahead(strategy=strategy))


class WrongGradient(torch.autograd.Function):
    """A function with slope 1 whose backward rule says 3; its forward-mode rule is right."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output) -> None:
        pass

    @staticmethod
    def backward(ctx, slope: Tensor) -> Tensor:
        return 3 * slope

    @staticmethod
    def jvp(ctx, tangent: Tensor) -> Tensor:
        return tangent.clone()


class Tripled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(36, 8), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(WrongGradient.apply(torch.tanh(self.first(x.flatten(1)))))


@twice
def test_a_wrong_gradient_of_the_outputs_is_refused(strategy: str) -> None:
    with pytest.raises(InputError, match=r"expected .*(gradient of these outputs|gradient says)"):
        training(Tripled()).look_ahead(Lookahead(strategy=strategy))


# Weights written in the forward pass


class Renormalised(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.first, self.last, self.how = nn.Linear(36, 8), nn.Linear(8, CLASSES), how

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            short = torch.renorm(self.first.weight, 2, 0, 0.5)
            if self.how == "data":
                self.first.weight.data = short
            elif self.how == "in place":
                self.first.weight.copy_(short)
            else:
                self.first.weight = nn.Parameter(short)
        return self.last(torch.tanh(self.first(x.flatten(1))))


@every_strategy
@pytest.mark.parametrize("how", ["data", "in place", "replaced"])
def test_weights_that_the_forward_pass_writes(how: str, strategy: str) -> None:
    with pytest.raises(InputError, match=r"forward pass leaves alone, but it writes first.weight"):
        training(Renormalised(how)).look_ahead(Lookahead(strategy=strategy))


@every_strategy
@pytest.mark.parametrize("kind", [nn.Embedding, nn.EmbeddingBag])
def test_embeddings_with_max_norm(kind: type[nn.Module], strategy: str) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(36, CLASSES), kind(4, 2, max_norm=1.0))
    here = training(model)
    before = model[2].weight.detach().clone()
    with pytest.raises(InputError, match=rf"2 \({kind.__name__}\) scales its own to max_norm"):
        here.look_ahead(Lookahead(strategy=strategy))
    assert torch.equal(model[2].weight, before)


# The comparisons


def differ(slope: Tensor, tangent: Tensor, grads: dict, direction: dict) -> Tensor:
    by_outputs = slope_along({"outputs": slope}, {"outputs": tangent})
    return disagreement(slope_along(grads, direction), by_outputs)


def test_slopes_of_a_linear_function() -> None:
    w, u = torch.randn(4, 3), torch.randn(4, 3)
    x, s = torch.randn(7, 3), torch.randn(7, 4)
    grads = {"w": s.T @ x}
    right, wrong = x @ u.T, x @ (u + 0.3 * w).T
    assert differ(s, right, grads, {"w": u}) < 1e-4
    assert differ(s, wrong, grads, {"w": u}) > 0.1
    assert differ(0 * s, right, {"w": 0 * u}, {"w": u}) == 0
    assert differ(s.double(), wrong.double(), grads, {"w": u.double()}) > 1e3


def test_slopes_that_are_lost_in_underflow() -> None:
    u = torch.randn(4, 3)
    x, s = torch.randn(7, 3), 1e-37 * torch.randn(7, 4)
    assert differ(s, x @ u.T, {"w": torch.zeros(4, 3)}, {"w": u}) < 0.1


def test_outputs_relative_to_their_length() -> None:
    one = torch.tensor([[3.0, 4.0]])
    assert outputs_differ(one, one) == 0
    assert outputs_differ(one, 1.01 * one).item() > 1
    assert outputs_differ(one, (1 + 1e-5) * one).item() < 1
    assert torch.isfinite(outputs_differ(0 * one, 0 * one))


@pytest.mark.parametrize(("dtype", "differs"), [(torch.float64, True), (torch.float32, False)])
def test_real_steps_in_float64_are_held_to_more_digits(dtype: torch.dtype, differs: bool) -> None:
    outputs, one = torch.randn(7, 4, dtype=dtype), torch.ones((), dtype=dtype)
    step = Pass(outputs, None, Slope(one, one))
    assert (real_step_differs(step, step._replace(outputs=(1 + 1e-5) * outputs)) > 1) == differs
