"""Processes exchange tensors, results and errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.helpers.processes import in_processes
from tests.processes.exchanges import all_of_it, evaluations, padded_text
from tests.processes.joint_training import FEW
from tests.processes.test_training import check


@pytest.fixture(scope="module")
def by_two() -> list[dict[str, Any]]:
    return in_processes(2, all_of_it)


def test_values_of_all_processes(by_two: list[dict[str, Any]]) -> None:
    for rank, result in enumerate(by_two):
        found = result["values"]
        one, other = torch.tensor([0.0, 1.0]), torch.tensor([1.0, 2.0])
        mean = (one + other) / 2
        for value, expected in zip(
            found["mean"], [mean, mean * 2, torch.complex(mean, -mean)], strict=True
        ):
            torch.testing.assert_close(value, expected, check_dtype=False)
        torch.testing.assert_close(found["sum"], [one + other])
        torch.testing.assert_close(found["rows"], [torch.tensor([1.0]), torch.tensor([[0, 1]])])
        assert found["largest"] == 2
        assert torch.equal(found["shared"], one)
        count, own = found["alone"]
        assert count == 1
        assert torch.equal(own, [one, other][rank])


def test_all_processes_raise_the_same_error(by_two: list[dict[str, Any]]) -> None:
    for result in by_two:
        found = result["errors"]
        assert found["same"] == "nothing"
        assert found["differs"].startswith(
            "weights: expected the same values on all 2 processes, but differs differs"
        )
        assert found["first"] == 0  # the seed of process 0
        assert found["first fails"] == "file: expected one, got none"
        for name in ("lookback", "lookahead"):
            assert found[name].startswith("criterion: expected the same values on all 2 processes")
        assert found["unroll"].startswith("strategy: expected 'mixed' or 'difference' where")


def test_memory_of_sequences_of_different_lengths(by_two: list[dict[str, Any]]) -> None:
    expected = padded_text()["memory"]
    assert expected["totals"].any()
    for result in by_two:
        torch.testing.assert_close(result["text"]["memory"], expected)


def test_statistics_of_classes_send_sums_and_not_outputs(by_two: list[dict[str, Any]]) -> None:
    for result in by_two:
        assert result["sent"] == {"MarginStatistics": [5 * 3], "RunningMean": [1, 500, 100, 100]}


def test_a_share_of_an_evaluation_is_read_and_the_result_is_that_of_all(
    by_two: list[dict[str, Any]],
) -> None:
    for rank, result in enumerate(by_two):
        for (found, expected), read in zip(
            zip(result["evaluations"], evaluations(), strict=True),
            [(1, 1), (1, 1), (4, 3)],
            strict=True,
        ):
            assert found["result"] == pytest.approx(expected["result"], abs=1e-6)
            assert found["read"] == read[rank]  # a single sample is read by both


@pytest.mark.parametrize("name", FEW)
def test_the_hypergradient_of_the_joint_batch(name: str, by_two: list[dict[str, Any]]) -> None:
    check(name, [result["joint"] for result in by_two])


@pytest.mark.parametrize("wanted", [0, 1])
def test_one_process_needs_no_messages(wanted: int) -> None:
    from metaloss.processes import joint_rows, mean_over, sum_over

    tensor = torch.full((2,), float(wanted))
    for function in (joint_rows, mean_over, sum_over):
        (found,) = function([tensor])
        assert found is tensor
