"""What an adjuster costs is its small operations: how many it takes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import metaloss


class Count(TorchDispatchMode):
    """How many operations were computed."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.bad_input  # checks of types are operations too
@pytest.mark.parametrize(("name", "most"), [("context", 38), ("margin", 8)])
def test_the_features_of_a_step_are_few_operations(name: str, most: int) -> None:
    criterion = metaloss.from_pretrained(f"gce-fashion-mnist-{name}")
    targets, index = torch.arange(30) % 10, torch.arange(30)
    criterion.prepare(targets, 10)
    outputs = torch.randn(30, 10, requires_grad=True)
    with Count() as counted:
        criterion.features(outputs, targets, index, track=True)
    assert counted.count <= most
