"""Processes that each hold a part of the batch compute the hypergradient of the whole batch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.helpers.processes import in_processes
from tests.processes.joint_training import CASES, all_trained, trained

pytestmark = pytest.mark.exhaustive  # test_exchange.py has a few of the compositions


def check(name: str, results: list[dict[str, Any]]) -> None:
    """Compare what each of two processes found with what one finds, and them with one another."""
    expected = trained(name)
    assert expected["hypergradients"]
    tight = CASES[name].lookback.get("strategy") != "difference"
    for found in results:
        for key, value in expected.items():
            torch.testing.assert_close(
                found[name][key], value, rtol=1e-9 if tight else 1e-5, atol=1e-12 if tight else 1e-8
            )
    one, other = results
    torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


@pytest.fixture(scope="module")
def by_two() -> list[dict[str, Any]]:
    return in_processes(2, all_trained, list(CASES))


@pytest.mark.parametrize("name", CASES)
def test_every_composition(name: str, by_two: list[dict[str, Any]]) -> None:
    check(name, by_two)
