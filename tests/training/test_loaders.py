"""What is read by epochs, and what is not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from metaloss import AdjustedLoss
from metaloss.checks import InputError
from metaloss.experiments import collect
from metaloss.losses import GCE
from metaloss.training import evaluate

LOADERS = [
    (
        DataLoader(TensorDataset(torch.zeros(4, 5), torch.zeros(4).long()), batch_size=2),
        "loader: expected a metaloss.types.Loader, got torch's DataLoader, .*BatchLoader",
    ),
    ([(torch.zeros(4, 5), torch.zeros(4))], "loader: expected a metaloss.types.Loader, got a list"),
]


@pytest.mark.bad_input
@pytest.mark.parametrize(("loader", "message"), LOADERS)
def test_loaders_of_another_kind(loader, message: str) -> None:
    model = nn.Linear(5, 3)
    with pytest.raises(InputError, match=message):
        collect(model, AdjustedLoss.fixed(GCE()), loader)
    with pytest.raises(InputError, match=message):
        evaluate(model, loader)
    assert model.training
