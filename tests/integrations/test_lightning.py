"""Snapshots under Lightning's limits of epochs and steps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from metaloss import AdjustedLoss, ConstantAdjuster, ScheduledAdjuster
from metaloss.checks import InputError
from metaloss.losses import GCE

lightning = pytest.importorskip("lightning.pytorch")
from metaloss.integrations.lightning import ProgressCallback  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")


class Classifier(lightning.LightningModule):
    """Records the selected snapshot of each step."""

    def __init__(self) -> None:
        super().__init__()
        thirds = [ConstantAdjuster(GCE().hyperparameters, {"q": q}) for q in (0.2, 0.5, 0.8)]
        self.criterion = AdjustedLoss(GCE(), None, ScheduledAdjuster(thirds))
        self.net = nn.Linear(4, 3)
        self.used: list[int] = []

    def training_step(self, batch, _batch_idx):
        self.used.append(self.criterion.adjuster.current)
        return self.criterion(self.net(batch[0]), batch[1])

    def configure_optimizers(self):
        return torch.optim.SGD(self.net.parameters(), lr=0.1)


class TwoOptimizers(Classifier):
    """Steps two optimizers by hand, so that the Trainer counts two steps a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False

    def training_step(self, batch, batch_idx):
        loss = super().training_step(batch, batch_idx)
        self.manual_backward(loss)
        for optimizer in self.optimizers():
            optimizer.step()

    def configure_optimizers(self):
        return [torch.optim.SGD([p], lr=0.1) for p in self.net.parameters()]


class Endless(IterableDataset):
    """A data set without a length."""

    def __iter__(self) -> Iterator[tuple[torch.Tensor, int]]:
        return iter([(torch.randn(4), k % 3) for k in range(32)])


def loader() -> DataLoader:
    data = TensorDataset(torch.randn(32, 4), torch.arange(32) % 3)
    return DataLoader(data, batch_size=8)  # four batches


def used(classifier: Classifier, data: DataLoader, **settings) -> list[int]:
    trainer = lightning.Trainer(
        callbacks=[ProgressCallback(classifier.criterion)],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **settings,
    )
    trainer.fit(classifier, data)
    return classifier.used


THIRDS = [0] * 4 + [1] * 4 + [2] * 4


def test_so_many_epochs() -> None:
    assert used(Classifier(), loader(), max_epochs=3) == THIRDS


def test_so_many_steps() -> None:
    assert used(Classifier(), loader(), max_steps=12) == THIRDS
    assert used(Classifier(), loader(), max_steps=6) == [0, 0, 1, 1, 2, 2]
    assert used(Classifier(), loader(), max_steps=6, max_epochs=50) == [0, 0, 1, 1, 2, 2]


def test_accumulated_batches() -> None:
    assert used(Classifier(), loader(), max_epochs=3, accumulate_grad_batches=2) == THIRDS


def test_two_optimizers() -> None:
    assert used(TwoOptimizers(), loader(), max_epochs=3) == THIRDS


def test_a_loader_that_does_not_know_its_length() -> None:
    assert used(Classifier(), DataLoader(Endless(), batch_size=8), max_epochs=3) == THIRDS


def test_a_training_without_an_end() -> None:
    with pytest.raises(InputError, match="expected a Trainer with max_epochs or max_steps"):
        used(Classifier(), loader(), max_epochs=-1, max_time={"seconds": 1})
