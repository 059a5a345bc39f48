"""Losses and hyperparameters of every training sample."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from metaloss import AdjustedLoss
from metaloss.checks import InputError
from metaloss.conditioners import Margin
from metaloss.experiments import (
    Adjusted,
    collect,
)
from metaloss.losses import GCE
from tests.helpers.tasks import blobs


def test_collect_reads_every_training_sample_in_order() -> None:
    task = blobs(batch_size=16)  # the last batch is not full, and training leaves it out
    assert 16 * len(task.train) < 60
    model = nn.Linear(5, 3)
    criterion = Adjusted(name="A", loss=GCE()).criterion(task)
    samples = collect(model, criterion, task.train)
    assert torch.equal(samples["index"], torch.arange(60))
    assert torch.equal(samples["targets"], task.train_targets)
    assert samples["hparams"].shape == (60, 1)
    batch = next(iter(task.train.epoch(5)))
    expected = criterion.per_sample(model(batch.inputs), batch.targets)
    torch.testing.assert_close(samples["losses"][batch.index], expected.losses)
    margin = Margin()(model(batch.inputs), batch.targets)[:, 0]
    torch.testing.assert_close(samples["margin"][batch.index], margin)


def test_collect_numbers_samples_without_ids_through() -> None:
    task = blobs()

    class Anonymous:
        num_samples = 60

        def __len__(self) -> int:
            return 6

        def epoch(self, number: int):
            return (batch._replace(index=None) for batch in task.train.epoch(number))

    model = nn.Linear(5, 3)
    criterion = AdjustedLoss.fixed(GCE())
    samples = collect(model, criterion, Anonymous())
    assert torch.equal(samples["index"], torch.arange(60))
    targets = torch.cat([batch.targets for batch in task.train.epoch(0)])
    assert torch.equal(samples["targets"], targets)


@pytest.mark.bad_input
def test_a_loader_of_another_kind_is_refused() -> None:
    with pytest.raises(InputError, match=r"loader: expected a metaloss\.types\.Loader, got a list"):
        collect(nn.Linear(5, 3), AdjustedLoss.fixed(GCE()), [(torch.zeros(4, 5), torch.zeros(4))])
