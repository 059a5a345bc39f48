"""Complex weights: real and imaginary parts are stepped separately, as by ``torch.optim``."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from metaloss.bilevel import Lookahead
from metaloss.bilevel.lookahead import STRATEGIES
from metaloss.bilevel.optimizer.functional import functional
from tests.bilevel.cases import OPTIMIZERS, training
from tests.bilevel.models import CLASSES
from tests.helpers.exhaustive import all_pairs
from tests.helpers.hypergradients import assert_is_the_hypergradient

NAMES = ["SGD-Nesterov", "Adam-decay", "AdamW", "RMSprop-momentum", "RMSprop-centered"]
SOME = ["SGD-Nesterov", "AdamW", "RMSprop-centered"]


class Complex(nn.Module):
    """A complex layer, and a real layer on the absolute values of its outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(0.3 * torch.randn(8, 36, dtype=torch.complex128))
        self.last = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last((x.flatten(1).to(self.weight.dtype) @ self.weight.T).abs())


@all_pairs("name, steps, strategy", SOME, [1, 3], list(STRATEGIES))
def test_against_real_training(name: str, steps: int, strategy: str) -> None:
    here = training(Complex(), OPTIMIZERS[name], steps=steps, steps_before=2)
    found = here.look_ahead(Lookahead(steps, strategy))
    assert_is_the_hypergradient(found, here, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_step_is_the_optimizers_own(name: str) -> None:
    p = nn.Parameter(torch.randn(5, 2, dtype=torch.complex128))
    optimizer = OPTIMIZERS[name]([p])
    for _ in range(3):
        p.grad = torch.randn_like(p)
        step = functional(optimizer, {"p": p})
        after, _ = step.step({"p": p.detach().clone()}, step.state, {"p": p.grad.clone()})
        optimizer.step()
        torch.testing.assert_close(after["p"], p.detach())
