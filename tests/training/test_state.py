"""The random numbers of a GPU, which a machine with other GPUs goes on with."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
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


def drawn() -> tuple[float, float, float]:
    return torch.rand(1).item(), float(np.random.rand()), random.random()  # noqa: NPY002


def test_the_generators_of_numpy_and_python_go_on_too(tmp_path: Path) -> None:
    state = state_of(nn.Linear(2, 3))
    torch.save(state.state_dict(), tmp_path / "state.pt")
    first = drawn()
    saved = torch.load(tmp_path / "state.pt", weights_only=True)
    state.load_state_dict(saved)
    assert drawn() == first
    older = {name: value for name, value in saved.items() if name[:5] not in {"numpy", "pytho"}}
    state.load_state_dict(older)
    again = drawn()
    assert again[0] == first[0] and again[1:] != first[1:]


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
