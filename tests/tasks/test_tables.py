"""Tables of numbers."""

from __future__ import annotations

import pytest
import torch

from metaloss.checks import InputError
from metaloss.tasks import Table


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (torch.zeros(3, 2), torch.zeros(3), r"targets of t: expected float32 \[samples, col"),
        (torch.zeros(3, 2).double(), torch.zeros(3, 1), "inputs of t: expected float32"),
        (torch.zeros(3, 2), torch.zeros(4, 1), "a target for each of 3 inputs, got 4"),
        (torch.zeros(3, 2) / 0, torch.zeros(3, 1), "inputs of t: expected finite"),
        (torch.zeros(0, 2), torch.zeros(0, 1), "inputs of t: expected float32"),
    ],
)
def test_bad_tables(inputs, targets, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Table(inputs, targets, "t")
