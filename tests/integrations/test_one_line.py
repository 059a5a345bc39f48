"""Training scripts in which nothing but the line ``criterion = ...`` changes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from metaloss import AdjustedLoss, Adjuster, ScheduledAdjuster
from metaloss.conditioners import ClassMargins, Concat, Margin, RunningMean
from metaloss.losses import GCE, CrossEntropy
from tests.helpers import states

pytestmark = pytest.mark.filterwarnings("ignore")
EPOCHS, BATCHES, CLASSES = 3, 4, 5


class Trained(NamedTuple):
    """What a script leaves."""

    model: nn.Module
    validation: list[float]


def data() -> tuple[DataLoader, DataLoader]:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(48, 6, generator=generator)
    labels = inputs[:, :CLASSES].argmax(dim=1)
    train = TensorDataset(inputs[:32], labels[:32])
    return DataLoader(train, batch_size=8), DataLoader(TensorDataset(inputs[32:], labels[32:]), 16)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(6, CLASSES)


def learned() -> AdjustedLoss:
    """As from_pretrained(name, total_steps=len(loader) * epochs) returns it."""
    torch.manual_seed(1)
    conditioner = Concat([Margin(), ClassMargins(), RunningMean(Margin())])
    adjusters = [Adjuster.for_loss(GCE(), conditioner, 4) for _ in range(3)]
    for k, adjuster in enumerate(adjusters):
        nn.init.normal_(adjuster.net[2].weight, std=1.0 + k)
    total = EPOCHS * BATCHES
    return AdjustedLoss(GCE(), conditioner, ScheduledAdjuster(adjusters), total_steps=total)


def plain_loop(criterion: nn.Module, folder: Path) -> Trained:
    loader, held_out = data()
    model, validation = network(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    for _ in range(EPOCHS):
        model.train()
        for inputs, labels in loader:
            optimizer.zero_grad()
            criterion(model(inputs), labels).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            losses = [criterion(model(inputs), labels).item() for inputs, labels in held_out]
        validation.append(sum(losses) / len(losses))
    return Trained(model, validation)


def by_accelerate(criterion: nn.Module, folder: Path) -> Trained:
    accelerate = pytest.importorskip("accelerate")
    accelerator = accelerate.Accelerator(cpu=True)
    loader, held_out = data()
    model, validation = network(), []
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    model, optimizer, loader, held_out = accelerator.prepare(model, optimizer, loader, held_out)
    for _ in range(EPOCHS):
        for inputs, labels in loader:
            with accelerator.accumulate(model):
                accelerator.backward(criterion(model(inputs), labels))
                optimizer.step()
                optimizer.zero_grad()
        with torch.inference_mode():
            (batch,) = held_out
            losses = accelerator.gather(criterion(model(batch[0]), batch[1])[None])
        validation.append(losses.mean().item())
    return Trained(accelerator.unwrap_model(model), validation)


def by_lightning(criterion: nn.Module, folder: Path, **settings: Any) -> Trained:
    lightning = pytest.importorskip("lightning.pytorch")

    class Classifier(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.net = network()
            self.criterion = criterion
            self.validation: list[float] = []

        def training_step(self, batch: list[Tensor], _: int) -> Tensor:
            return self.criterion(self.net(batch[0]), batch[1])

        def validation_step(self, batch: list[Tensor], _: int) -> None:
            assert not self.criterion.training
            self.validation.append(self.criterion(self.net(batch[0]), batch[1]).item())

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.3, momentum=0.9)

    classifier, resumed = Classifier(), settings.pop("ckpt_path", None)
    trainer = lightning.Trainer(
        **{"max_epochs": EPOCHS, **settings},
        num_sanity_val_steps=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier, *data(), ckpt_path=resumed)
    trainer.save_checkpoint(folder / "last.ckpt")
    return Trained(classifier.net, classifier.validation)


def by_timm(criterion: nn.Module, folder: Path) -> Trained:
    """The loop of timm's train.py: its task holds the criterion, its scaler steps."""
    pytest.importorskip("timm")
    from timm.optim import create_optimizer_v2
    from timm.task import ClassificationTask
    from timm.utils import AverageMeter, NativeScaler

    loader, held_out = data()
    model, validation = network(), []
    task = ClassificationTask(model, criterion=criterion, device=torch.device("cpu"))
    optimizer = create_optimizer_v2(task.trainable_module, opt="momentum", lr=0.3)
    scaler = NativeScaler(device="cpu")
    for _ in range(EPOCHS):
        task.train()
        for inputs, labels in loader:
            with torch.autocast("cpu", torch.bfloat16, enabled=False):
                loss = task(inputs, labels)["loss"]
            scaler(loss, optimizer, parameters=model.parameters())
            optimizer.zero_grad()
        task.eval()
        meter = AverageMeter()
        with torch.inference_mode():
            for inputs, labels in held_out:
                meter.update(task(inputs, labels)["loss"].item(), len(labels))
        validation.append(meter.avg)
    return Trained(model, validation)


SCRIPTS: dict[str, Callable[..., Trained]] = {
    "plain": plain_loop,
    "accelerate": by_accelerate,
    "lightning": by_lightning,
    "timm": by_timm,
}
every = pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)


@every
def test_with_fixed_cross_entropy_it_is_the_same_training(script, tmp_path: Path) -> None:
    expected = script(nn.CrossEntropyLoss(), tmp_path)
    found = script(AdjustedLoss.fixed(CrossEntropy()), tmp_path)
    torch.testing.assert_close(found.model.state_dict(), expected.model.state_dict())
    assert found.validation == pytest.approx(expected.validation)


@every
def test_a_learned_one_remembers_moves_on_and_evaluates_plainly(script, tmp_path: Path) -> None:
    criterion, plain = learned(), script(nn.CrossEntropyLoss(), tmp_path)
    found = script(criterion, tmp_path)
    assert len(found.validation) == EPOCHS
    assert criterion.steps.done == EPOCHS * BATCHES
    assert criterion.adjuster.current == 2
    assert criterion.conditioner.state_dict()["conditioners.1.totals"][:, 1].sum() > 20
    with torch.no_grad():
        inputs, labels = next(iter(data()[1]))
        expected = F.cross_entropy(found.model(inputs), labels).item()
    assert found.validation[-1] == pytest.approx(expected)
    assert not torch.equal(found.model.weight, plain.model.weight)


def test_lightnings_checkpoints_hold_the_criterion(tmp_path: Path) -> None:
    whole, again = learned(), learned()
    expected = by_lightning(whole, tmp_path)
    by_lightning(copy.deepcopy(again), tmp_path, max_epochs=1)
    found = by_lightning(again, tmp_path, ckpt_path=tmp_path / "last.ckpt")
    assert states.same(again.state_dict(), whole.state_dict())
    assert again.steps.done == EPOCHS * BATCHES
    torch.testing.assert_close(found.model.state_dict(), expected.model.state_dict())
