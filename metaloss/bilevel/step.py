"""A training step: where it began, and the gradient that it used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor

from metaloss.bilevel.consistency import (
    Pass,
    disagreement,
    joint_slope,
    outputs_differ,
    real_step_differs,
    slope_along,
)
from metaloss.bilevel.network import Buffers, Params, copied
from metaloss.bilevel.optimizer.functional import FunctionalOptimizer
from metaloss.bilevel.problem import Batches, Problem
from metaloss.bilevel.tangent import Activations
from metaloss.randomness import Randomness


class Step(NamedTuple):
    """A training step: its starting point and its gradient.

    Attributes:
        batches: the batch of the step, or its micro-batches.
        params: the weights before the step.
        buffers: the model's buffers before the step.
        randomness: the random generators before the step's forward pass.
        optimizer: the optimizer with its state before the step; ``None`` until the gradient is
            computed.
        grads: the step's gradient.
        memory: the criterion's buffers before the step; empty if they cannot have changed since.
        theta: the adjuster's parameters at the step; empty if they cannot have changed since.
        calls: the criterion's number of calls before the step; ``None`` if it is that of now.
        after: the weights after a real step; empty for a rehearsed step.
        outputs: the outputs of the step's own forward pass, if known; a second pass has to
            reproduce them.
        slopes: the gradients of a real step's loss in these outputs, if known.
        activations: the layer outputs that were kept from the step's forward pass, if any.
    """

    batches: Batches
    params: Params
    buffers: Buffers
    randomness: Randomness
    optimizer: FunctionalOptimizer | None = None
    grads: Params = {}  # noqa: RUF012 - replaced, never changed
    memory: Mapping[str, Tensor] = {}
    theta: Mapping[str, Tensor] = {}
    calls: int | None = None
    after: Params = {}  # noqa: RUF012
    outputs: Tensor | None = None
    slopes: Tensor | None = None
    activations: Activations | None = None

    @property
    def is_real(self) -> bool:
        """Whether the step was really made, and not only rehearsed."""
        return bool(self.after)

    def outputs_at(self, problem: Problem, params: Params) -> Tensor:
        """Compute the step's outputs again at other weights, with the same random numbers."""
        self.randomness.restore()
        return problem.outputs(params, copied(self.buffers), self.batches)

    def disagreement(self, again: Pass, direction: Params) -> Tensor:
        """Compare a second pass with the step's own.

        Args:
            again: the results of the second pass, without gradients, of this process's part of the
                batch.
            direction: the direction that its slope is along.
        """
        again = again._replace(along=joint_slope(again.along))
        along = slope_along(self.grads, direction)
        if self.outputs is None:
            return disagreement(along, again.along)
        if self.is_real:
            return real_step_differs(Pass(self.outputs, self.slopes, along), again)
        apart = outputs_differ(self.outputs, again.outputs)
        return disagreement(along, again.along).maximum(apart)
