"""Records the calls of the criterion in a real training step."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from metaloss.bilevel.problem import Batches, concatenated
from metaloss.checks import require
from metaloss.losses.numerics import full_precision
from metaloss.objective import AdjustedLoss


class CriterionCalls:
    """The outputs that the criterion is called with, and the loss's gradients in them.

    A second pass has to give the same outputs, and the adjusted loss the same gradients. So this
    shows whether the step's loss is the criterion's mean over exactly its batches.
    """

    def __init__(self) -> None:
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._slopes: dict[int, Tensor] = {}
        self._in_training = True

    @contextmanager
    def recorded(self, criterion: AdjustedLoss) -> Iterator[None]:
        """Record the calls made inside."""
        criterion.listeners.append(self._called)
        try:
            yield
            self._in_training = criterion.training or bool(self._outputs)
        finally:
            criterion.listeners.remove(self._called)

    def check(self, batches: Batches) -> None:
        """Raise an error unless the calls are those of the batches of the step.

        Raises:
            InputError: another number of calls, other targets, or a criterion that evaluates.
        """
        require(
            self._in_training,
            "criterion: expected training mode, in which a call returns the adjusted loss, got "
            "evaluation mode; call criterion.train()",
        )
        if not self._outputs:  # the step calls the losses in some way that is not recorded
            return
        calls = len(self._outputs)
        require(
            calls == len(batches),
            f"lookback: expected one call of the criterion for each of {len(batches)} batches of "
            f"the step, got {calls}; evaluate under torch.no_grad(), or outside of step(...)",
        )
        for targets, batch in zip(self._targets, batches, strict=True):
            require(
                (targets.shape, targets.dtype) == (batch.targets.shape, batch.targets.dtype)
                and (_waits(targets, batch.targets) or torch.equal(targets, batch.targets)),
                "lookback: expected the criterion to be called with the targets of the batch that "
                "step(...) was given, got others",
            )

    @property
    def outputs(self) -> Tensor | None:
        """The outputs of all batches, ``[samples, outputs]``, if they are known."""
        return concatenated(self._outputs) if self._outputs else None

    def slopes(self, scale: float) -> Tensor | None:
        """Return the loss's gradients in the outputs, if they are known.

        Args:
            scale: of the gradient scaler.
        """
        if not self._outputs or len(self._slopes) < len(self._outputs):
            return None
        return torch.cat([self._slopes[k] for k in range(len(self._outputs))]) / scale

    def _called(self, outputs: Tensor, targets: Tensor) -> None:
        k = len(self._outputs)
        self._outputs.append(full_precision(outputs.detach()).clone())
        self._targets.append(targets)

        def keep(slope: Tensor) -> None:
            self._slopes[k] = full_precision(slope.detach()).clone()

        if outputs.requires_grad:
            outputs.register_hook(keep)  # type: ignore[no-untyped-call]


def _waits(*tensors: Tensor) -> bool:
    """Return whether comparing the values would wait for a device."""
    return any(t.device.type != "cpu" for t in tensors)
