"""The recipe's defaults, and recipes that are refused."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloss.checks import InputError
from metaloss.training import Recipe


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs: expected a whole number of at least 1, got 0"),
        ({"epochs": 1, "meta_every": 0}, "meta_every"),
        ({"epochs": 2, "warmup_epochs": 2}, "warmup_epochs: expected fewer than the 2 epochs"),
        ({"epochs": 2, "snapshots": (0.5, 0.25, 1.0)}, "snapshots"),
        ({"epochs": 2, "snapshots": (0.5,)}, "snapshots"),
        ({"epochs": 2, "snapshots": ()}, "snapshots"),
    ],
)
def test_bad_settings(arguments, message) -> None:
    with pytest.raises(InputError, match=message):
        Recipe(**arguments)


def test_defaults_are_the_papers() -> None:
    recipe = Recipe(epochs=120)
    (group,) = recipe.optimizer([nn.Parameter(torch.zeros(1))]).param_groups
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.1, 0.9, 5e-4)
    meta = recipe.meta_optimizer([nn.Parameter(torch.zeros(1))])
    assert type(meta) is torch.optim.Adam
    assert (meta.param_groups[0]["lr"], meta.param_groups[0]["weight_decay"]) == (1e-3, 1e-4)
    assert recipe.meta_every == 10
