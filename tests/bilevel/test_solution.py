"""Hypergradients that are not finite, or that two passes disagree about, are refused."""

from __future__ import annotations

import pytest
import torch

from metaloss.bilevel.solution import Solution
from metaloss.checks import InputError
from metaloss.types import Batch

NAN, ONE = torch.tensor([float("nan")]), torch.ones(1)


@pytest.mark.parametrize(
    ("inputs", "meta_loss", "said"),
    [
        (NAN, NAN, r"meta_batch: inputs: expected finite"),
        (ONE, NAN, "meta loss: expected finite"),
        (ONE, ONE, "hypergradient of w: expected finite"),
    ],
)
def test_the_first_cause(inputs: torch.Tensor, meta_loss: torch.Tensor, said: str) -> None:
    solution = Solution({"v": ONE, "w": NAN}, meta_loss)
    with pytest.raises(InputError, match=said):
        solution.check_finite({"meta_batch": Batch(inputs, torch.zeros(1, dtype=torch.int64))})


def test_a_finite_one_is_not_looked_at_further() -> None:
    Solution({"v": ONE}, NAN).check_finite({})


def test_passes_may_disagree_by_the_tolerance_alone() -> None:
    for tolerances in (None, torch.tensor(0.9)):
        Solution({"v": ONE}, ONE, tolerances).check_consistent()
    with pytest.raises(InputError, match="expected the same outputs from the same weights"):
        Solution({"v": ONE}, ONE, torch.tensor(1.1)).check_consistent()


def test_steps_that_left_the_rule_are_named_first() -> None:
    moved = {"v": torch.tensor(False), "w": torch.tensor(True)}
    with pytest.raises(InputError, match="a step that moves w as the optimizer's rule says"):
        Solution({"v": ONE}, ONE, torch.tensor(1.1), moved).check_consistent()
    Solution({"v": ONE}, ONE, None, {"v": torch.tensor(False)}).check_consistent()


def test_a_solution_with_the_checks_of_earlier_ones() -> None:
    good = Solution({"v": ONE}, ONE, torch.tensor(0.5), {"v": torch.tensor(False)})
    apart = Solution({"v": ONE}, ONE, torch.tensor(1.1))
    moved = Solution({"v": ONE}, ONE, None, {"v": torch.tensor(True)})
    assert good.with_checks_of(None) is good
    good.with_checks_of(good).check_consistent()
    nan = Solution({"v": ONE}, ONE, torch.tensor(float("nan")))
    for bad, said in ((apart, "two passes disagree"), (moved, "moves v as")):
        for fine in (good, nan):
            both = good.with_checks_of(fine.with_checks_of(bad))
            with pytest.raises(InputError, match=said):
                both.check_consistent()
            with pytest.raises(InputError, match=said):
                bad.with_checks_of(fine).check_consistent()
