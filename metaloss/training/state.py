"""The state of a run: everything that training changes."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from metaloss.checks import require
from metaloss.kinds import CLASSIFICATION
from metaloss.objective import AdjustedLoss
from metaloss.randomness import Randomness
from metaloss.training.engine import Engine, Forward
from metaloss.training.kept_buffers import KeptBuffers
from metaloss.training.mean_margins import MeanMargins
from metaloss.training.meta_learner import MetaLearner
from metaloss.training.recipe import Recipe
from metaloss.types import TaskLike


@dataclass
class TrainState:
    """The state of a run: everything that training changes.

    Attributes:
        model: the classifier.
        criterion: the adjusted loss, with the adjuster and the conditioner's memory.
        optimizer: the classifier's optimizer.
        meta_learner: the training of the adjuster; ``None`` if the adjuster has nothing to learn.
        schedules: learning-rate schedulers of ``optimizer``, stepped once per epoch.
        step: the number of ordinary steps done.
        meta_step: the number of hypergradients computed on this network.
        engine: what the steps run on; this process by default.
        forward: the ordinary steps' forward pass; the model itself if not given.
        margins: each sample's mean margin over training; ``None`` for regression. It changes
            nothing of the training.
        skipped: the number of ordinary steps skipped one after the other, up to the last step.
    """

    model: nn.Module
    criterion: AdjustedLoss
    optimizer: torch.optim.Optimizer
    meta_learner: MetaLearner | None = None
    schedules: list[Any] = field(default_factory=list)
    step: int = 0
    meta_step: int = 0
    engine: Engine = field(default_factory=Engine)
    forward: Forward | None = None
    margins: MeanMargins | None = None
    skipped: int = 0

    @cached_property
    def kept(self) -> KeptBuffers:
        """Copies of the buffers, to undo what a skipped step wrote."""
        return KeptBuffers(self.model, self.criterion)

    @property
    def device(self) -> torch.device:
        """The device of the classifier."""
        return next(self.model.parameters()).device

    def name_of(self, param: Tensor) -> str:
        """Return the name of one of the network's parameters."""
        names = (name for name, each in self.model.named_parameters() if each is param)
        return next(names, "a parameter outside of the model")

    @classmethod
    def start(
        cls,
        model: nn.Module,
        criterion: AdjustedLoss,
        task: TaskLike,
        recipe: Recipe,
        meta_learner: MetaLearner | None = None,
        *,
        engine: Engine | None = None,
    ) -> TrainState:
        """Return the state before the first step, and prepare the criterion for the training set.

        Args:
            model: the classifier.
            criterion: the adjusted loss.
            task: the data.
            recipe: the training recipe.
            meta_learner: the training of the adjuster that several networks share; a new one if not
                given.
            engine: what the steps run on; this process by default.

        Raises:
            InputError: the criterion has class weights, or another reduction than the mean.
        """
        plain = criterion.weight is None and criterion.reduction == "mean"
        require(
            plain,
            "criterion: expected no class weights and the reduction 'mean', for the training loop "
            "takes the mean over samples itself, got "
            + ("" if criterion.weight is None else "class weights and ")
            + f"the reduction {criterion.reduction!r}",
        )
        criterion.prepare(task.train_targets, task.num_classes)
        optimizer = recipe.optimizer(p for p in model.parameters() if p.requires_grad)
        schedules = [] if recipe.schedule is None else [recipe.schedule(optimizer)]
        meta_learner = meta_learner or MetaLearner.start(criterion.adjuster, recipe)
        margins = None
        if criterion.loss.kind == CLASSIFICATION:
            device = next(model.parameters()).device
            margins = MeanMargins(len(task.train_targets), device)
        return cls(
            model,
            criterion,
            optimizer,
            meta_learner,
            schedules,
            engine=engine or Engine(),
            margins=margins,
        )

    def state_dict(self) -> dict[str, Any]:
        """Return the whole state, with the random number generators that dropout uses."""
        return {
            "step": self.step,
            "meta_step": self.meta_step,
            "skipped": self.skipped,
            "model": self.model.state_dict(),
            "criterion": self.criterion.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "meta_learner": self.meta_learner and self.meta_learner.state_dict(),
            "schedules": [schedule.state_dict() for schedule in self.schedules],
            "margins": self.margins and self.margins.state_dict(),
            "scaler": self.engine.scaler and self.engine.scaler.state_dict(),
            # That of this GPU alone, as another machine may have fewer.
            **Randomness.now([self.device]).state_dict(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Restore the result of :meth:`state_dict`."""
        self.step, self.meta_step = saved["step"], saved["meta_step"]
        self.skipped = saved["skipped"]
        self.model.load_state_dict(saved["model"])
        self.criterion.load_state_dict(saved["criterion"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.meta_learner is not None:
            self.meta_learner.load_state_dict(saved["meta_learner"])
        for schedule, state in zip(self.schedules, saved["schedules"], strict=True):
            schedule.load_state_dict(state)
        if self.margins is not None:
            self.margins.load_state_dict(saved["margins"])
        if self.engine.scaler is not None and saved.get("scaler"):
            self.engine.scaler.load_state_dict(saved["scaler"])
        Randomness.of_state_dict(saved, self.device).restore()
