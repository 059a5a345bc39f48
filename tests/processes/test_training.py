"""Processes learn what one learns, from parts of each batch or from tasks of their own."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.helpers.processes import in_processes
from tests.processes import joint_training, spread_tasks

pytestmark = pytest.mark.exhaustive  # test_exchange.py has a few of the compositions


def check(name: str, results: list[dict[str, Any]]) -> None:
    """Compare what each of two processes found with what one finds, and them with one another."""
    expected = joint_training.trained(name)
    assert expected["hypergradients"]
    tight = joint_training.CASES[name].lookback.get("strategy") != "difference"
    for found in results:
        for key, value in expected.items():
            torch.testing.assert_close(
                found[name][key], value, rtol=1e-9 if tight else 1e-5, atol=1e-12 if tight else 1e-8
            )
    one, other = results
    torch.testing.assert_close(one[name], other[name], rtol=0, atol=0)


def numbers(record: dict[str, Any]) -> dict[str, float]:
    return {key: value for key, value in record.items() if isinstance(value, int | float)}


@pytest.fixture(scope="module")
def by_two() -> list[dict[str, Any]]:
    return in_processes(2, spread_tasks.all_trained, list(joint_training.CASES))


@pytest.mark.parametrize("name", joint_training.CASES)
def test_parts_of_a_batch(name: str, by_two: list[dict[str, Any]]) -> None:
    check(name, by_two)


@pytest.mark.parametrize("meta_update", ["after", "before"])
@pytest.mark.parametrize("sampler", spread_tasks.SAMPLERS)
def test_tasks_of_their_own(sampler: str, meta_update: str, by_two: list[dict[str, Any]]) -> None:
    expected = spread_tasks.trained(sampler, meta_update)
    assert expected["meta steps"] > 3
    for result in by_two:
        found = result[f"{sampler}, {meta_update}"]
        assert [r["task"] for r in found["records"]] == [r["task"] for r in expected["records"]]
        for record, other in zip(found.pop("records"), expected["records"], strict=True):
            assert numbers(record) == pytest.approx(numbers(other), rel=1e-6)
        for key, value in found.items():
            torch.testing.assert_close(value, expected[key], rtol=1e-9, atol=1e-12)
