"""The bilevel problem of one meta step, with everything live taken out of it.

A strategy sees pure functions and plain tensors only: it cannot touch the model, the optimizer or
their states, whatever it does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloss.bilevel.optimizers import FunctionalOptimizer, Params
from metaloss.objective import AdjustedLoss
from metaloss.types import Batch

MetaLoss = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Problem:
    r"""Find :math:`d/d\theta` of the meta loss at the weights that K training steps lead to.

    Attributes:
        model: called functionally; its own tensors are only read.
        params: :math:`w_0`, the trainable parameters, by name.
        buffers: copies of the model's buffers, which forward passes may write to.
        criterion: the adjusted loss, whose adjuster holds :math:`\theta`.
        theta: the adjuster's trainable parameters, by name.
        train_batches: K batches, one a step.
        meta_batch: clean samples.
        meta_loss: from the outputs and targets of the meta batch to a scalar.
        make_optimizer: from the names of the parameters that the loss reaches to the optimizer's
            step; the others are not stepped, as in ``torch.optim``.
    """

    model: nn.Module
    params: dict[str, nn.Parameter]
    buffers: dict[str, Tensor]
    criterion: AdjustedLoss
    theta: dict[str, nn.Parameter]
    train_batches: Sequence[Batch]
    meta_batch: Batch
    meta_loss: MetaLoss
    make_optimizer: Callable[[Sequence[str]], FunctionalOptimizer]

    def outputs(self, params: Params, inputs: Tensor) -> Tensor:
        """The model's outputs at ``params``; updates ``buffers`` as a forward pass does."""
        return torch.func.functional_call(self.model, (params, self.buffers), (inputs,))

    def train_loss(self, params: Params, batch: Batch) -> Tensor:
        """The adjusted loss of a training batch (Eq. 8)."""
        outputs = self.outputs(params, batch.inputs)
        return self.criterion.per_sample(outputs, batch.targets, batch.index).losses.mean()

    def held_out_loss(self, params: Params) -> Tensor:
        """The meta loss at ``params`` (Eq. 9)."""
        return self.meta_loss(self.outputs(params, self.meta_batch.inputs), self.meta_batch.targets)


@dataclass(frozen=True)
class Solution:
    r"""What a strategy found.

    Attributes:
        hypergradient: :math:`dM/d\theta`, by the adjuster's parameter names.
        meta_loss: :math:`M`, the meta loss after the lookahead, a detached scalar.
    """

    hypergradient: dict[str, Tensor]
    meta_loss: Tensor
