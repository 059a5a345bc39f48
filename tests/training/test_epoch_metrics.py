"""Means over an epoch."""

from __future__ import annotations

import pytest
import torch

from metaloss.losses import GCE
from metaloss.training.epoch_metrics import EpochMetrics


def test_means_over_batches_of_different_sizes() -> None:
    flipped = torch.tensor([True, False, False, True, False])
    metrics = EpochMetrics(GCE().hyperparameters, flipped)
    q = torch.tensor([0.9, 0.1, 0.2, 0.8, 0.3])
    losses = torch.arange(5.0)
    outputs = torch.eye(3)[torch.tensor([0, 1, 2, 0, 1])]
    targets = torch.tensor([0, 1, 0, 1, 1])
    for part in (slice(0, 2), slice(2, 5)):
        index = torch.arange(5)[part]
        metrics.add_batch(losses[part], q[part, None], outputs[part], targets[part], index)
    means = metrics.means()
    assert metrics.samples == 5
    assert means["train_loss"] == pytest.approx(2.0)
    assert means["train_accuracy"] == pytest.approx(60.0)
    assert means["q_mean"] == pytest.approx(0.46)
    assert means["q_flipped"] == pytest.approx(0.85)
    assert means["q_clean"] == pytest.approx(0.2)
    assert means["train_loss_flipped"] == pytest.approx(1.5)
    assert means["train_loss_clean"] == pytest.approx(7 / 3)
    assert means["train_accuracy_flipped"] == pytest.approx(50.0)
    assert means["train_accuracy_clean"] == pytest.approx(200 / 3)


def test_nothing_is_told_apart_where_it_is_not_known() -> None:
    metrics = EpochMetrics(GCE().hyperparameters)
    batch = torch.tensor([1.0, 3.0]), torch.tensor([[0.25], [0.75]]), torch.eye(2)
    metrics.add_batch(*batch, torch.tensor([0, 0]), torch.arange(2))
    expected = {"train_loss": 2.0, "train_accuracy": 50.0, "q_mean": 0.5}
    assert metrics.means() == pytest.approx(expected)


def test_a_mean_over_nothing_is_left_out() -> None:
    metrics = EpochMetrics(GCE().hyperparameters, torch.tensor([False, False]))
    metrics.add_batch(
        torch.ones(2), torch.ones(2, 1), torch.eye(2), torch.tensor([0, 1]), torch.arange(2)
    )
    assert "q_flipped" not in metrics.means()
    assert metrics.means()["q_clean"] == 1.0
