"""Differences along directions with entries of very different sizes, and rounding errors."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from metaloss import InputError
from metaloss.bilevel import Lookahead
from metaloss.bilevel.strategies.difference import by_size
from tests.bilevel.cases import learned, training
from tests.bilevel.models import CLASSES
from tests.helpers.hypergradients import Training, in_single, inner

WORDS = 200


class Words(nn.Module):
    """The mean of the words' embeddings; most words are in no batch."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.last = nn.Embedding(WORDS, 16), nn.Linear(16, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.words(as_words(x)).mean(dim=1))


class Bags(Words):
    """The same function, by a layer that can be differentiated only once."""

    def __init__(self) -> None:
        super().__init__()
        self.words = nn.EmbeddingBag(WORDS, 16)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.words(as_words(x)))


class LowRank(nn.Module):
    """A frozen layer with an adapter that is initially zero."""

    def __init__(self) -> None:
        super().__init__()
        self.base = nn.Linear(36, CLASSES).requires_grad_(False)
        self.down = nn.Parameter(0.1 * torch.randn(4, 36))
        self.up = nn.Parameter(torch.zeros(CLASSES, 4))

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)
        return self.base(x) + x @ self.down.T @ self.up.T


class Gated(nn.Module):
    """A branch with a gate that is initially zero."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.branch = nn.Linear(36, 8), nn.Linear(8, 8)
        self.gate, self.last = nn.Parameter(torch.zeros(())), nn.Linear(8, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.first(x.flatten(1)))
        return self.last(hidden + self.gate * torch.tanh(self.branch(hidden)))


class Autocast(nn.Module):
    """A network that computes in half precision, whatever the precision of its weights."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(36, 8), nn.Tanh(), nn.Linear(8, CLASSES))

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.body(x).to(x.dtype)


def as_words(x: Tensor) -> Tensor:
    return (x.flatten(1)[:, :4].abs() * 1000).long() % WORDS


OPTIMIZERS: dict[str, Callable] = {
    "fresh Adam": lambda p: torch.optim.Adam(p, lr=0.01),  # a weight without a gradient: 1 / 1e-8
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
}
every_precision = pytest.mark.parametrize("single", [False, True], ids=["float64", "float32"])


def here(build: Callable[[], nn.Module], optimizer: str, single: bool) -> Training:
    start = training(build(), OPTIMIZERS[optimizer], learned(detach=True))
    return in_single(start) if single else start


def assert_close(found: dict[str, Tensor], expected: dict[str, Tensor], rtol: float) -> None:
    """Check the relative error, because a fresh Adam gives short hypergradients."""
    gap = {name: found[name].double() - expected[name].double() for name in expected}
    assert inner(expected, expected) > 0
    assert inner(gap, gap) ** 0.5 < rtol * inner(expected, expected) ** 0.5


@every_precision
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("build", [Words, LowRank, Gated])
def test_close_to_the_exact_strategies(build, optimizer: str, single: bool):
    start = here(build, optimizer, single)
    expected = start.look_ahead(Lookahead(strategy="unroll"))
    found = start.look_ahead(Lookahead(strategy="difference"))
    assert_close(found, expected, 2e-2 if single else 1e-3)


@every_precision
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_bags_of_words_as_the_mean_of_the_words(optimizer: str, single: bool):
    start = here(Bags, optimizer, single)
    found = start.look_ahead(Lookahead(strategy="difference"))
    words = Words().to(next(start.model.parameters()).dtype)
    words.load_state_dict(start.model.state_dict())
    made = OPTIMIZERS[optimizer](words.parameters())
    expected = start.look_ahead(Lookahead(strategy="unroll"), model=words, optimizer=made)
    assert_close(found, expected, 2e-2 if single else 1e-3)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_half_precision_inside_of_a_model_is_refused(optimizer: str):
    start = here(Autocast, optimizer, single=True)
    with pytest.raises(InputError, match=r"computes in half precision, .* or float64$"):
        start.look_ahead(Lookahead(strategy="difference"))
    start.look_ahead(Lookahead(strategy="mixed"))


def test_parts_add_up_to_the_direction():
    direction = {"a": torch.randn(50) * 10 ** torch.linspace(-12, 9, 50), "b": torch.zeros(3)}
    parts = by_size(direction)
    total = sum(part["a"] for part in parts)
    assert torch.equal(total, direction["a"])
    assert len(parts) > 10
    for part in parts[:-1]:  # the last part has the remaining entries
        sizes = part["a"][part["a"] != 0].abs()
        assert sizes.max() <= 10 * sizes.min() * (1 + 1e-5)
    assert by_size({"b": torch.zeros(3)})[0].keys() == {"b"}
