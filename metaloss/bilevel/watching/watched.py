"""A completed training step, and whether anything has changed since."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from metaloss.bilevel.network import trainable
from metaloss.bilevel.problem import theta_of
from metaloss.bilevel.step import Step
from metaloss.bilevel.watching.marks import Mark, Optimizer, marks, modes, state_marks
from metaloss.checks import require
from metaloss.objective import AdjustedLoss


class Watched(NamedTuple):
    """A completed step.

    Attributes:
        model: the classifier.
        criterion: the adjusted loss that the step used.
        step: the starting point of the step, with its optimizer and gradient.
        modes: whether each of the model's modules was in training mode.
        optimizer: the optimizer that made it.
        state: marks of the optimizer's state after the step.
        weights: marks of the model's parameters after the step.
        theta: marks of the adjuster's parameters after the step.
    """

    model: nn.Module
    criterion: AdjustedLoss
    step: Step
    modes: list[bool]
    optimizer: Optimizer
    state: list[Mark]
    weights: dict[str, Mark]
    theta: dict[str, Mark]

    def leads_to(self, model: nn.Module, optimizer: Optimizer, criterion: AdjustedLoss) -> bool:
        """Return whether a step begins where this one ended."""
        if self.model is not model or self.criterion is not criterion:
            return False
        if self.optimizer is not optimizer or self.state != state_marks(optimizer):
            return False
        return self.weights == marks(trainable(model, besides=theta_of(criterion)))

    def check_unchanged(self) -> None:
        """Raise :class:`~metaloss.checks.InputError` if something has changed since the step."""
        now = marks(trainable(self.model, besides=theta_of(self.criterion)))
        changed = [name for name, mark in now.items() if self.weights.get(name) != mark]
        require(
            not changed,
            f"model: expected the weights that the last step led to, but {', '.join(changed[:3])} "
            "changed since",
        )
        require(
            marks(theta_of(self.criterion)) == self.theta,
            "criterion: expected the adjuster that the step was made with, but it has moved since",
        )
        require(
            modes(self.model) == self.modes,
            "model: expected the mode that the step was made in, training or evaluation, got "
            "another",
        )
