"""The training in progress that every method starts from, and the steps that methods share."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from metaloss import AdjustedLoss, Adjuster
from metaloss.bench.cases import Case
from metaloss.conditioners import Margin
from metaloss.losses import GCE
from metaloss.seeding import generator, seed_everything
from metaloss.training import Speed, TrainState
from metaloss.training.epoch import Epoch
from metaloss.training.epoch_metrics import EpochMetrics
from metaloss.training.meta_learner import MetaLearner
from metaloss.training.recipe import paper_adam, paper_sgd
from metaloss.types import Batch

STEPS_BEFORE = 3
"""Steps that are made to compare at a live state."""


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Iteration:
    """A whole iteration that can be repeated.

    Attributes:
        timed: the iteration.
        before: makes the ordinary steps that the iteration needs before it; they are not timed.
    """

    timed: Callable[[], None]
    before: Callable[[], None] = _nothing

    def __call__(self) -> None:
        """Make the iteration, and the steps before it."""
        self.before()
        self.timed()


@dataclass
class Trial:
    """A training in progress.

    Attributes:
        state: the network, GCE adjusted by the margin, and their optimizers.
        window: the batches of the K steps.
        meta_batch: the clean batch.
        epoch: the means and checks of the epoch, as the training loop gathers them.
    """

    state: TrainState
    window: list[Batch]
    meta_batch: Batch
    epoch: Epoch

    @property
    def meta_learner(self) -> MetaLearner:
        """The adjuster and its optimizer."""
        assert self.state.meta_learner is not None
        return self.state.meta_learner

    @property
    def theta(self) -> list[Tensor]:
        """The adjuster's parameters."""
        return list(self.state.criterion.adjuster.parameters())

    def adjusted_loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the training loss (Eq. 8)."""
        return self.state.criterion.per_sample(outputs, batch.targets).losses.mean()

    def meta_loss(self, outputs: Tensor) -> Tensor:
        """Return the meta loss (Eq. 9) of the outputs for the clean batch."""
        return F.cross_entropy(outputs, self.meta_batch.targets)

    def twin(self) -> Trial:
        """Return a copy that shares nothing with this one."""
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
    """Return a training before its first step, with a batch for each of K steps and a clean one.

    It is the same at every call.
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
        targets = torch.randint(case.classes, (batch,), generator=numbers)
        batches.append(speed.laid_out(Batch(inputs.to(device), targets.to(device))))
    state = TrainState(
        model=model,
        criterion=criterion,
        optimizer=paper_sgd(model.parameters()),
        meta_learner=MetaLearner(criterion.adjuster, paper_adam(criterion.adjuster.parameters())),
        forward=forward,
    )
    epoch = Epoch(EpochMetrics(criterion.loss.hyperparameters))
    return Trial(state, batches[:-1], batches[-1], epoch)


def ce_step(trial: Trial) -> None:
    """Make a training step on cross entropy, as it is usually written."""
    batch = trial.window[0]
    loss = F.cross_entropy(trial.state.model(batch.inputs), batch.targets)
    _step(trial, loss)


def adjusted_step(trial: Trial) -> None:
    """Make a training step on the adjusted loss, and nothing else."""
    batch = trial.window[0]
    _step(trial, trial.adjusted_loss(trial.state.model(batch.inputs), batch))


def finish(trial: Trial, meta_loss: Tensor) -> None:
    """End a peer's meta iteration: differentiate the meta loss in theta, then take both steps."""
    meta_optimizer = trial.meta_learner.optimizer
    grads = torch.autograd.grad(meta_loss, trial.theta)
    for theta, grad in zip(trial.theta, grads, strict=True):
        theta.grad = grad
    meta_optimizer.step()
    meta_optimizer.zero_grad(set_to_none=True)
    adjusted_step(trial)


def _step(trial: Trial, loss: Tensor) -> None:
    optimizer = trial.state.optimizer
    optimizer.zero_grad(set_to_none=True)
    loss.backward(inputs=list(trial.state.model.parameters()))  # type: ignore[no-untyped-call]
    optimizer.step()
