"""A training in progress, as each method finds it, and the two plain steps."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from metaloss import AdjustedLoss, Adjuster
from metaloss.bench.cases import CLASSES, Case
from metaloss.conditioners import Margin
from metaloss.losses import GCE
from metaloss.seeding import generator, seed_everything
from metaloss.training import Speed, TrainState
from metaloss.training.epoch_metrics import EpochMetrics
from metaloss.training.meta_learner import MetaLearner
from metaloss.training.recipe import paper_adam, paper_sgd
from metaloss.types import Batch

STEPS_BEFORE = 3
"""Real steps that make a state a live one."""


@dataclass
class Trial:
    """A training in progress.

    Attributes:
        state: the network, the adjusted GCE on the margin, and their optimizers.
        window: the batches to look ahead with, the ordinary step's first.
        meta_batch: the clean one.
        metrics: what the training loop counts.
    """

    state: TrainState
    window: list[Batch]
    meta_batch: Batch
    metrics: EpochMetrics

    @property
    def meta_learner(self) -> MetaLearner:
        """The adjuster's own training."""
        assert self.state.meta_learner is not None
        return self.state.meta_learner

    @property
    def theta(self) -> list[Tensor]:
        """The adjuster's parameters."""
        return list(self.state.criterion.adjuster.parameters())

    def adjusted_loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The training loss (Eq. 8)."""
        return self.state.criterion.per_sample(outputs, batch.targets).losses.mean()

    def clean_loss(self, outputs: Tensor) -> Tensor:
        """The meta loss (Eq. 9) of the outputs for the clean batch."""
        return F.cross_entropy(outputs, self.meta_batch.targets)

    def twin(self) -> Trial:
        """A copy that shares nothing with this one."""
        return copy.deepcopy(self)


def start(
    case: Case,
    steps: int,
    batch: int,
    *,
    small: bool = False,
    device: str = "cpu",
    channels_last: bool = False,
) -> Trial:
    """A training before its first step: the same each time.

    Args:
        case: network and samples.
        steps: K, the batches to look ahead with.
        batch: samples in each.
        small: take the case's small network.
        device: where.
        channels_last: lay images out with the channels last.
    """
    seed_everything(0)
    numbers = generator(0, "bench")
    model = (case.small if small else case.network)().to(device)
    criterion = AdjustedLoss(GCE(), Margin(), Adjuster.for_loss(GCE(), Margin())).to(device)
    speed = Speed(channels_last=channels_last)
    forward = speed.prepare(model)
    batches = []
    for _ in range(steps + 1):
        inputs = case.inputs(batch, numbers)
        targets = torch.randint(CLASSES, (batch,), generator=numbers)
        batches.append(speed.laid_out(Batch(inputs.to(device), targets.to(device))))
    state = TrainState(
        model=model,
        criterion=criterion,
        optimizer=paper_sgd(model.parameters()),
        meta_learner=MetaLearner(criterion.adjuster, paper_adam(criterion.adjuster.parameters())),
        forward=forward,
    )
    return Trial(state, batches[:-1], batches[-1], EpochMetrics(criterion.loss.hyperparameters))


def ce_step(trial: Trial) -> None:
    """A training step on cross entropy, as anybody writes it."""
    batch = trial.window[0]
    loss = F.cross_entropy(trial.state.model(batch.inputs), batch.targets)
    _step(trial, loss)


def adjusted_step(trial: Trial) -> None:
    """A training step on the adjusted loss, and nothing else."""
    batch = trial.window[0]
    _step(trial, trial.adjusted_loss(trial.state.model(batch.inputs), batch))


def _step(trial: Trial, loss: Tensor) -> None:
    optimizer = trial.state.optimizer
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=list(trial.state.model.parameters()))  # type: ignore[no-untyped-call]
    optimizer.step()
