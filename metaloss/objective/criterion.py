"""What an adjusted loss is made of, and what it remembers between its calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from metaloss.adjusters import BaseAdjuster
from metaloss.checks import InputError, check_in_range
from metaloss.conditioners import Conditioner
from metaloss.kinds import CLASSIFICATION
from metaloss.losses import LossFamily
from metaloss.losses.numerics import full_precision
from metaloss.objective.compatibility import check_parts, check_training_targets
from metaloss.objective.compiling import once_a_graph, outside_graph
from metaloss.objective.features import remember
from metaloss.objective.overwritten import check_not_overwritten
from metaloss.objective.progress import StepCount, warn_of_progress
from metaloss.objective.reduction import IGNORED, check_settings
from metaloss.objective.samples import Samples, as_samples, transformed, widened
from metaloss.types import Labels, Logits

STEPS = "steps_done"
"""The name of the number of calls in a checkpoint."""


class Criterion(nn.Module, ABC):
    """The parts and settings of an adjusted loss, its memory and its count of calls.

    The arguments are those of :class:`~metaloss.AdjustedLoss`, which defines the calls.

    Attributes:
        num_classes: the number of classes that outputs must have; with a conditioner, the first
            call in training sets it. ``None`` before that call, and for a fixed loss.
        steps_done: the number of calls, if ``total_steps`` is known, as part of the state.
    """

    num_classes: int | None = None
    _checked_progress = False
    _checked_tensors = False
    weight: Tensor | None
    steps_done: Tensor | None

    def __init__(
        self,
        loss: LossFamily,
        conditioner: Conditioner | None,
        adjuster: BaseAdjuster,
        detach: bool = True,
        *,
        reduction: str = "mean",
        ignore_index: int = IGNORED,
        weight: Float[Tensor, " classes"] | None = None,
        total_steps: int | None = None,
    ) -> None:
        super().__init__()
        check_parts(loss, conditioner, adjuster)
        check_settings(loss.kind, reduction, ignore_index, weight)
        self.loss = loss
        self.conditioner = conditioner
        self.adjuster = adjuster
        # A part of your own may be made in half precision, where that is torch's default.
        self._apply(full_precision)  # type: ignore[no-untyped-call]
        self.detach = detach
        self.reduction = reduction
        self.ignore_index = ignore_index
        self.register_buffer("weight", weight)
        self.steps = StepCount(total_steps)
        count = None if total_steps is None else torch.tensor(0)
        self.register_buffer(STEPS, count)
        if total_steps is not None:
            self._move(0.0)
        # Called with the outputs and targets of each batch that the conditioner remembers.
        self.listeners: list[Callable[[Tensor, Tensor], None]] = []

    @abstractmethod
    def forward(
        self, outputs: Logits, targets: Labels, index: Int[Tensor, " *positions"] | None = None
    ) -> Float[Tensor, " *losses"]:
        """Return the loss of a batch."""

    @property
    def _learns(self) -> bool:
        """Whether a call is one of training: it returns the adjusted loss, and remembers."""
        return self.training and torch.is_grad_enabled()

    def _samples(
        self, outputs: Any, targets: Any, index: Tensor | None, *, checked: bool = False
    ) -> Samples:
        kind = self.loss.kind
        samples = as_samples(kind, outputs, targets, index, self.ignore_index)
        device = samples.outputs.device
        if self.adjuster.low.device != device:  # nn.CrossEntropyLoss has nothing to move
            with torch.inference_mode(False):  # what is made in inference mode cannot be trained
                self.to(device)
        self._check_classes(samples)
        if checked and samples.readable:
            kind.check_values(samples.outputs, samples.targets)
            return Samples(*samples[:-1], finite=True)
        return samples

    @contextmanager
    def _labels_named(self, samples: Samples) -> Iterator[None]:
        """Raise InputError where labels out of range made an operation of torch fail."""
        try:
            yield
        except (IndexError, RuntimeError):
            self.loss.kind.check_range(samples.outputs, samples.targets)
            raise

    def prepare(self, targets: Labels, num_classes: int | None) -> None:
        """Pass the training targets to the conditioner, once before training.

        Called again, it begins another run: the memory is reset, and the count of calls too.

        Args:
            targets: the training set's targets, in the order of the sample ids. Labels that are
                ignored may be among them.
            num_classes: number of classes; ``None`` for regression.

        Raises:
            InputError: invalid targets, or the loss is for another kind of targets.
        """
        targets = widened(targets)
        check_training_targets(self.loss, targets, num_classes, self.ignore_index)
        if self.conditioner is not None:
            with torch.inference_mode(False):
                self.conditioner.prepare(targets, num_classes)
        self.num_classes = None  # a network may have more outputs than there are classes
        if self.steps.total is not None:
            self.progress(0.0)

    def observe(
        self, outputs: Logits, targets: Labels, index: Int[Tensor, " *positions"] | None = None
    ) -> None:
        """Update the conditioner's memory with a batch, as a call of the criterion does.

        For loops that use :meth:`per_sample` without ``track``, once in each ordinary step. It does
        not count a step: with ``total_steps``, call :meth:`per_sample` with ``track``.
        """
        samples = self._samples(outputs, targets, index)
        with self._labels_named(samples):
            remember(self.conditioner, samples)

    def progress(self, fraction: float) -> None:
        """Set the fraction of training that is done, which selects the snapshot."""
        self.steps.set_fraction(check_in_range("progress", fraction, 0.0, 1.0))
        self._move(fraction)

    def _called(self, samples: Samples) -> None:
        """Keep the number of classes of a call in training, tell the listeners, and count it."""
        if self._keeps_classes:
            self.num_classes = samples.outputs.shape[1]
        for listener in self.listeners:
            listener(*samples.given)
        if self.steps.total is not None:
            outside_graph(self._count)  # a graph would hold the number

    @property
    def _keeps_classes(self) -> bool:
        """Whether all outputs must have one number of classes, and it can be kept."""
        # A fixed loss takes any number. A graph would be compiled again for the number it keeps.
        predicts = self.conditioner is not None and self.loss.kind == CLASSIFICATION
        return predicts and not torch.compiler.is_compiling()

    def _check_classes(self, samples: Samples) -> None:
        if not self._keeps_classes or self.num_classes is None:
            return
        got = samples.outputs.shape[1]
        if got != self.num_classes:
            raise InputError(
                f"outputs: expected {self.num_classes} classes, as this criterion was made or "
                f"first called with, got {got}; use a criterion for each number of classes"
            )

    def _count(self) -> None:
        self.steps.add()
        self._move(self.steps.fraction)

    def _move(self, fraction: float) -> None:
        if self.steps_done is not None:
            self.steps_done.fill_(self.steps.done)
        self.adjuster.set_progress(fraction)
        if self.conditioner is not None:
            self.conditioner.set_progress(fraction)

    def _check_first_step(self) -> None:
        """Check in the first training step that the tensors are this criterion's own.

        Warn if a module needs ``progress``, which was not called.
        """
        if not (self._checked_tensors or torch.compiler.is_compiling() or transformed()):
            self._checked_tensors = True
            check_not_overwritten(self.adjuster)
        if self._checked_progress:
            return
        self._checked_progress = True
        if any(getattr(module, "awaits_progress", False) for module in self.modules()):
            once_a_graph(warn_of_progress)

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        self.num_classes = None  # a memory of another number of classes may be loaded
        done = state_dict.pop(prefix + STEPS, None)
        if self.steps_done is not None:  # a state may be without it, or it without a place here
            state_dict[prefix + STEPS] = self.steps_done if done is None else done
        super()._load_from_state_dict(state_dict, prefix, *rest)
        if done is not None and self.steps_done is not None:
            self.steps.done = int(done)
            self._move(self.steps.fraction)
