"""The random numbers of a GPU, which a machine with other GPUs goes on with."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metaloss.losses import CrossEntropy
from metaloss.objective import AdjustedLoss
from metaloss.training import TrainState

SECOND = torch.device("cuda", 1)


class OnSecondGpu(nn.Linear):
    """Says that it is on a GPU, which this machine need not have."""

    def parameters(self, recurse: bool = True) -> Iterator[Any]:
        return iter([SimpleNamespace(device=SECOND)])


def state_of(model: nn.Module) -> TrainState:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    return TrainState(model, AdjustedLoss.fixed(CrossEntropy()), optimizer)


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> dict[torch.device, Tensor]:
    """The states of the generators of GPUs."""
    states = {SECOND: torch.tensor([7])}
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda device: states[device].clone())
    monkeypatch.setattr(
        torch.cuda, "set_rng_state", lambda drawn, device: states.update({device: drawn})
    )
    return states


def test_only_the_generator_of_its_own_gpu_is_kept(gpus: dict[torch.device, Tensor]) -> None:
    state = state_of(OnSecondGpu(2, 3))
    saved = state.state_dict()
    gpus[SECOND] = torch.tensor([8])
    state.load_state_dict(saved)
    assert gpus == {SECOND: torch.tensor([7])}
    state_of(nn.Linear(2, 3)).load_state_dict(saved)  # a CPU has none
    assert gpus == {SECOND: torch.tensor([7])}


@pytest.mark.parametrize(("number", "expected"), [(3, 1), (1, 7), (0, 7)])
def test_of_an_older_checkpoint_of_all_gpus_only_its_own_is_used(
    gpus: dict[torch.device, Tensor], number: int, expected: int
) -> None:
    state = state_of(OnSecondGpu(2, 3))
    every = [torch.tensor([at]) for at in range(number)]
    state.load_state_dict({**state.state_dict(), "cuda_rng": every})
    assert gpus == {SECOND: torch.tensor([expected])}
