"""PolySoft with a range of lambda from which a new network learns."""

from __future__ import annotations

import pytest
import torch

from metaloss import InputError
from metaloss.losses import PolySoft, polysoft_above_guessing


@pytest.mark.parametrize("num_classes", [2, 10, 8000])
def test_guesses_have_a_gradient_everywhere_in_the_range(num_classes: int) -> None:
    loss = polysoft_above_guessing(num_classes)
    lam, d = loss.hyperparameters
    targets = torch.arange(2)
    for value in (lam.low, lam.default, lam.high):
        outputs = torch.zeros(2, num_classes, requires_grad=True)
        loss(outputs, targets, torch.tensor([[value, d.default]]).expand(2, 2)).sum().backward()
        assert outputs.grad is not None
        assert (outputs.grad.abs().sum(dim=1) > 0).all()


def test_guesses_may_have_none_in_the_whole_range() -> None:
    outputs = torch.zeros(2, 10, requires_grad=True)
    PolySoft()(outputs, torch.arange(2), torch.tensor([[2.0, 2.0]]).expand(2, 2)).sum().backward()
    assert outputs.grad is not None and not outputs.grad.any()


def test_a_number_of_classes_without_a_range_is_refused() -> None:
    with pytest.raises(InputError, match="num_classes: expected a whole number of at least 2"):
        polysoft_above_guessing(1)
    with pytest.raises(InputError, match=r"expected at most 8,000, .* got 21,841"):
        polysoft_above_guessing(21_841)
