"""Accuracy and loss on held-out samples."""

from __future__ import annotations

from itertools import islice

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from metaloss.checks import InputError
from metaloss.training import evaluate
from tests.helpers.tasks import blobs


def test_evaluate_puts_the_mode_back_and_counts() -> None:
    task = blobs()
    model = nn.Sequential(nn.Linear(5, 3), nn.Dropout(0.9))
    for training in (True, False):
        model.train(training)
        found = evaluate(model, task.test)
        assert model.training is training
    batch = next(iter(task.test.epoch(0)))
    right = model.eval()(batch.inputs).argmax(1) == batch.targets
    assert found.score == pytest.approx(100 * right.float().mean().item())


def test_predictions_are_counted_by_true_class_if_asked_for() -> None:
    task = blobs()
    model = nn.Linear(5, 3)
    expected = torch.zeros(3, 3, dtype=torch.int64)
    for batch in task.test.epoch(0):
        for row, target in zip(model(batch.inputs), batch.targets, strict=True):
            expected[int(target), int(row.argmax())] += 1
    found = evaluate(model, task.test, confusion=True)
    assert found.confusion is not None and found.confusion.tolist() == expected.tolist()
    assert found.score == pytest.approx(100 * expected.trace().item() / expected.sum().item())
    assert evaluate(model, task.test).confusion is None


def test_evaluate_does_not_pass_over_batches_that_are_missing() -> None:
    class Short:
        num_samples = 60

        def __len__(self) -> int:
            return 4

        def epoch(self, number: int):
            return islice(task.test.epoch(number), kept)

    task = blobs()
    for kept in (0, 1):
        with pytest.raises(InputError, match=f"to evaluate on: expected 4 batches, got {kept}"):
            evaluate(nn.Linear(5, 3), Short())


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
        evaluate(model, loader)
    assert model.training
