"""Processes with tasks of their own learn what one process learns from all of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.helpers.processes import in_processes
from tests.processes.spread_tasks import SAMPLERS, all_trained, trained

pytestmark = pytest.mark.exhaustive


def numbers(record: dict[str, Any]) -> dict[str, float]:
    return {key: value for key, value in record.items() if isinstance(value, int | float)}


@pytest.fixture(scope="module")
def by_two() -> list[dict[str, Any]]:
    return in_processes(2, all_trained)


@pytest.mark.parametrize("meta_update", ["after", "before"])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_the_same_as_in_one_process(
    sampler: str, meta_update: str, by_two: list[dict[str, Any]]
) -> None:
    expected = trained(sampler, meta_update)
    assert expected["meta steps"] > 3
    for result in by_two:
        found = result[f"{sampler}, {meta_update}"]
        assert [r["task"] for r in found["records"]] == [r["task"] for r in expected["records"]]
        for record, other in zip(found.pop("records"), expected["records"], strict=True):
            assert numbers(record) == pytest.approx(numbers(other), rel=1e-6)
        for key, value in found.items():
            torch.testing.assert_close(value, expected[key], rtol=1e-9, atol=1e-12)
