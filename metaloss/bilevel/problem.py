"""The bilevel problem of one meta step: the functions that a strategy differentiates.

A strategy works with pure functions and plain tensors only. So it leaves the model, the optimizer
and their states unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloss.bilevel.meta_loss import MetaLossFunction
from metaloss.bilevel.network import Buffers, Params, buffers_replaced, copied, outputs_of
from metaloss.bilevel.optimizer.functional import FunctionalOptimizer
from metaloss.bilevel.solution import Solution
from metaloss.checks import InputError, check_labels, require, seen
from metaloss.kinds import CLASSIFICATION
from metaloss.meta_losses import MetaLoss
from metaloss.objective import AdjustedLoss
from metaloss.randomness import Randomness
from metaloss.types import Batch

Batches = tuple[Batch, ...]
"""The batches of one training step: several if it accumulates gradients over micro-batches."""


@dataclass(frozen=True)
class Problem:
    r"""Find :math:`d/d\theta` of the meta loss at the weights that K training steps lead to.

    Attributes:
        model: the classifier; it is called functionally, and its own tensors are only read.
        criterion: the adjusted loss, whose adjuster holds :math:`\theta`.
        theta: the adjuster's trainable parameters by name.
        meta_batch: clean samples.
        meta_loss: maps the outputs and targets of the meta batch to a scalar.
        autocast: whether the network's passes run under bfloat16 autocast.
    """

    model: nn.Module
    criterion: AdjustedLoss
    theta: dict[str, nn.Parameter]
    meta_batch: Batch
    meta_loss: MetaLossFunction
    autocast: bool = False

    @classmethod
    def of(
        cls,
        model: nn.Module,
        criterion: AdjustedLoss,
        meta_batch: Batch,
        meta_loss: MetaLossFunction | None = None,
        *,
        autocast: bool = False,
    ) -> Problem:
        """Set up the problem.

        Without ``meta_loss`` it is the mean plain loss of the criterion's kind, with the class
        weights of the criterion.

        Raises:
            InputError: the adjuster has nothing to learn, the criterion does not reduce, or the
                meta loss is for another kind of targets than the criterion.
        """
        theta = theta_of(criterion)
        require(
            len(theta) > 0,
            f"criterion: expected an adjuster with parameters to learn, got "
            f"{type(criterion.adjuster).__name__}, which has none",
        )
        require(
            criterion.reduction != "none",
            "criterion: expected the reduction 'mean' or 'sum', for a hypergradient is that of one "
            "loss for the batch, got 'none'",
        )
        kind = criterion.loss.kind
        require(
            not isinstance(meta_loss, MetaLoss) or meta_loss.fits(kind),
            f"meta_loss: expected one for {kind.name}, as the criterion is, got {meta_loss!r}",
        )
        return cls(model, criterion, theta, meta_batch, meta_loss or criterion.plain_loss, autocast)

    def outputs(self, params: Params, buffers: Buffers, batches: Batches) -> Tensor:
        """Compute the outputs for a step's batches, one after the other; updates the buffers.

        Returns:
            The outputs of all batches, ``[samples, outputs]``.

        Raises:
            InputError: as for :func:`~metaloss.bilevel.network.outputs_of`; or the outputs of
                micro-batches differ in more than their number of samples.
        """
        return concatenated([self._outputs(params, buffers, batch) for batch in batches])

    def training_loss(
        self, outputs: Tensor, batches: Batches, features_of: Tensor | None = None
    ) -> Tensor:
        """Compute the adjusted loss (Eq. 8) of a step: the mean over its batches' mean losses.

        Args:
            outputs: ``[samples, outputs]`` of all batches.
            batches: the batches of the step; the conditioner observes each one before the next.
            features_of: the outputs to compute the adjuster's features from, if the criterion
                detaches the features; ``outputs`` if not given.
        """
        if features_of is None or not self.criterion.detach:
            features_of = outputs
        if len(batches) == 1:
            return self._adjusted_loss(outputs, batches[0], features_of)
        losses = []
        sizes = [len(batch.targets) for batch in batches]
        with buffers_replaced(self.criterion, copied(dict(self.criterion.named_buffers()))):
            parts = zip(
                torch.split(outputs, sizes), torch.split(features_of, sizes), batches, strict=True
            )
            for k, (part, features, batch) in enumerate(parts, start=1):
                losses.append(self._adjusted_loss(part, batch, features))
                self.criterion.observe(features, batch.targets, batch.index)
                self._move_on(k)
        return torch.stack(losses).mean()

    def meta_loss_at(self, params: Params, buffers: Buffers) -> Tensor:
        """Compute the meta loss at ``params`` (Eq. 9).

        The criterion's class weights count, unless the meta loss is noise tolerant: with weights,
        its values over all labels would not sum to a constant (Definition 2).
        """
        outputs = self._outputs(params, buffers, self.meta_batch)
        self._check_labels("meta_batch", outputs, self.meta_batch.targets)
        if isinstance(self.meta_loss, MetaLoss):
            return self.criterion.mean_of(
                self.meta_loss.per_sample,
                outputs,
                self.meta_batch.targets,
                weighted=not self.meta_loss.noise_tolerant,
            )
        loss = self.meta_loss(outputs, self.meta_batch.targets)
        require(
            isinstance(loss, Tensor) and loss.numel() == 1 and loss.requires_grad,
            "meta_loss: expected a function that returns the mean loss of the batch, a scalar with "
            f"a gradient, got {seen(loss)}{_without_gradient(loss)}",
        )
        return loss

    @contextmanager
    def at(
        self, memory: Mapping[str, Tensor], theta: Mapping[str, Tensor], calls: int | None = None
    ) -> Iterator[None]:
        """Restore an earlier state of the criterion inside the ``with`` block.

        Args:
            memory: the criterion's buffers in that state.
            theta: the adjuster's parameters in that state; unchanged if empty.
            calls: the criterion's number of calls in that state; ``None`` if it is that of now.
        """
        now = {name: self.theta[name].data for name in theta}
        steps = self.criterion.steps
        calls_now = steps.done
        try:
            steps.done = calls_now if calls is None else calls
            for name, value in theta.items():
                self.theta[name].data = value
            with buffers_replaced(self.criterion, memory):
                yield
        finally:
            steps.done = calls_now
            for name, value in now.items():
                self.theta[name].data = value

    def solution(
        self,
        found: Sequence[Tensor | None],
        meta_loss: Tensor,
        disagreement: Tensor | None = None,
        elsewhere: Mapping[str, Tensor] | None = None,
    ) -> Solution:
        """Make the solution from the gradient in each of ``theta``, in order.

        Raises:
            InputError: the training loss depends on none of them.
        """
        require(
            any(grad is not None for grad in found),
            "criterion: expected a loss that depends on the adjuster's parameters "
            f"({', '.join(self.theta)}), got one that depends on none of them",
        )
        grads = {
            name: torch.zeros_like(theta) if grad is None else grad
            for (name, theta), grad in zip(self.theta.items(), found, strict=True)
        }
        return Solution(grads, meta_loss.detach(), disagreement, elsewhere or {})

    def _outputs(self, params: Params, buffers: Buffers, batch: Batch) -> Tensor:
        if not self.autocast:
            return outputs_of(self.model, params, buffers, batch)
        one = next(iter(params.values()))
        with torch.autocast(one.device.type, torch.bfloat16, cache_enabled=False):
            outputs = outputs_of(self.model, params, buffers, batch)
        return outputs.to(one.dtype)

    def _adjusted_loss(self, outputs: Tensor, batch: Batch, features_of: Tensor) -> Tensor:
        self._check_labels("train_batches", outputs, batch.targets)
        return self.criterion.training_loss(
            outputs, batch.targets, batch.index, features_from=features_of
        )

    def _move_on(self, calls: int) -> None:
        """Set the progress that the conditioner sees after so many calls of the step."""
        steps, conditioner = self.criterion.steps, self.criterion.conditioner
        if steps.total is not None and conditioner is not None:
            conditioner.set_progress(steps.fraction_after(calls))

    def _check_labels(self, name: str, outputs: Tensor, targets: Tensor) -> None:
        labels = self.criterion.loss.kind == CLASSIFICATION and outputs.ndim > 1
        if labels and outputs.device.type == "cpu":  # on a GPU it would wait
            count = targets[targets != self.criterion.ignore_index]
            check_labels(f"{name}: targets", count, outputs.shape[1])


def concatenated(outputs: Sequence[Tensor]) -> Tensor:
    """Return the outputs of a step's batches as one tensor.

    Raises:
        InputError: they differ in more than their number of samples.
    """
    shapes = {tuple(each.shape[1:]) for each in outputs}
    require(
        len(shapes) == 1,
        "batches: expected micro-batches whose outputs differ in their number of samples alone, "
        f"got {', '.join(str(list(each.shape)) for each in outputs)}; pad them alike",
    )
    return torch.cat(list(outputs)) if len(outputs) > 1 else outputs[0]


def _without_gradient(loss: object) -> str:
    return " without one" if isinstance(loss, Tensor) and not loss.requires_grad else ""


def theta_of(criterion: AdjustedLoss) -> dict[str, nn.Parameter]:
    """Return the adjuster's trainable parameters by name.

    Raises:
        InputError: a criterion without an adjuster, such as one of ``torch.nn``.
    """
    if not hasattr(criterion, "adjuster"):
        raise InputError(f"criterion: expected an AdjustedLoss, got a {type(criterion).__name__}")
    return {name: p for name, p in criterion.adjuster.named_parameters() if p.requires_grad}


@dataclass(frozen=True)
class Rehearsal:
    r"""The K training steps that a lookahead rehearses.

    Attributes:
        params: :math:`w_0`, the trainable parameters by name.
        buffers: the model's buffers; a strategy works on copies of them.
        steps: the batches of each step.
        make_optimizer: maps the names of the parameters that the loss reaches to the optimizer's
            step; the others are not stepped, as in ``torch.optim``.
    """

    params: Mapping[str, Tensor]
    buffers: Buffers
    steps: Sequence[Batches]
    make_optimizer: Callable[[Sequence[str]], FunctionalOptimizer]

    def randomness(self) -> Randomness:
        """Return the states of the generators that the model may draw from."""
        return Randomness.now({p.device for p in self.params.values()})
