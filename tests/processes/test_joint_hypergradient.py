"""Processes that each hold a part of the batch compute the hypergradient of the whole batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.helpers.processes import in_processes
from tests.processes.joint_training import CASES, all_trained, trained


@pytest.fixture(scope="module")
def by_two() -> list[dict[str, Any]]:
    return in_processes(2, all_trained, list(CASES))


@pytest.mark.parametrize("name", CASES)
def test_two_processes_give_the_hypergradient_of_the_joint_batch(
    name: str, by_two: list[dict[str, Any]]
) -> None:
    expected = trained(name)
    assert expected["hypergradients"]
    tight = CASES[name].lookback.get("strategy") != "difference"
    for found in by_two:
        for key, value in expected.items():
            torch.testing.assert_close(
                found[name][key], value, rtol=1e-9 if tight else 1e-5, atol=1e-12 if tight else 1e-8
            )


@pytest.mark.parametrize("name", CASES)
def test_all_processes_hold_the_same(name: str, by_two: list[dict[str, Any]]) -> None:
    one, other = by_two
    torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)
