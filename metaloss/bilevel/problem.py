"""The bilevel problem of one meta step, with everything live taken out of it.

A strategy sees pure functions and plain tensors: it leaves the model, the optimizer and their
states alone, but for the one pass that it is asked to share with the ordinary step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from metaloss.bilevel.dual import primal
from metaloss.bilevel.kernels import RECURRENT, torchs_own
from metaloss.bilevel.modes import Between, Function
from metaloss.bilevel.optimizers import FunctionalOptimizer, Params
from metaloss.checks import check_finite, check_labels, require
from metaloss.kinds import CLASSIFICATION
from metaloss.objective import AdjustedLoss
from metaloss.randomness import Randomness
from metaloss.types import Batch

MetaLoss = Callable[[Tensor, Tensor], Tensor]
Buffers = dict[str, Tensor]


@dataclass(frozen=True)
class Problem:
    r"""Find :math:`d/d\theta` of the meta loss at the weights that K training steps lead to.

    Attributes:
        model: called functionally; its own tensors are only read, unless a pass is shared.
        params: :math:`w_0`, the trainable parameters, by name.
        buffers: the model's buffers; a strategy works on copies.
        criterion: the adjusted loss, whose adjuster holds :math:`\theta`.
        theta: the adjuster's trainable parameters, by name.
        train_batches: K batches, one a step.
        meta_batch: clean samples.
        meta_loss: from the outputs and targets of the meta batch to a scalar.
        make_optimizer: from the names of the parameters that the loss reaches to the optimizer's
            step; the others are not stepped, as in ``torch.optim``. Not needed for steps that have
            been made.
        share: make one forward pass of the first batch the ordinary step's as well, if it can be.
        budget: bytes of the first forward pass to keep while the clean batch is passed.
    """

    model: nn.Module
    params: dict[str, nn.Parameter]
    buffers: Buffers
    criterion: AdjustedLoss
    theta: dict[str, nn.Parameter]
    train_batches: Sequence[Batch]
    meta_batch: Batch
    meta_loss: MetaLoss
    make_optimizer: Callable[[Sequence[str]], FunctionalOptimizer] | None = None
    share: bool = False
    budget: float = 0.0

    def outputs(self, params: Params, buffers: Buffers, inputs: Tensor) -> Tensor:
        """The model's outputs at ``params``; updates ``buffers`` as a forward pass does.

        Raises:
            InputError: the model computes its activations again in the backward pass, writes its
                weights in the forward pass, or gives something else than a tensor.
        """
        tensors = {**params, **buffers}
        places = _places(params)
        with Differentiable():
            outputs = torch.func.functional_call(self.model, tensors, (inputs,))
        require(
            isinstance(outputs, Tensor),
            f"model: expected a tensor of outputs, got a {type(outputs).__name__}; wrap the model "
            "so that it returns the logits alone",
        )
        after = _places({name: tensors[name] for name in params})
        written = [name for name in params if after[name] != places[name]]
        require(
            not written,
            f"model: expected weights that the forward pass leaves alone, but it writes "
            f"{', '.join(written[:3])}; write them after the optimizer's step, or compute other "
            "tensors from them",
        )
        with torch.no_grad():
            for name, buffer in buffers.items():
                if tensors[name] is not buffer:  # a buffer that the model puts another for
                    buffer.copy_(primal(tensors[name]))
        return outputs

    def adjusted_loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The adjusted loss of a training batch (Eq. 8), from the model's outputs."""
        self._check_labels("train_batches", outputs, batch.targets)
        return self.criterion.per_sample(outputs, batch.targets, batch.index).losses.mean()

    def clean_loss(self, params: Params, buffers: Buffers) -> Tensor:
        """The meta loss at ``params`` (Eq. 9)."""
        outputs = self.outputs(params, buffers, self.meta_batch.inputs)
        self._check_labels("meta_batch", outputs, self.meta_batch.targets)
        return self.meta_loss(outputs, self.meta_batch.targets)

    def _check_labels(self, name: str, outputs: Tensor, targets: Tensor) -> None:
        labels = self.criterion.loss.kind == CLASSIFICATION and outputs.ndim == 2
        if labels and outputs.device.type == "cpu":  # elsewhere it would wait for the device
            check_labels(f"{name}: targets", targets, outputs.shape[1])

    def randomness(self) -> Randomness:
        """The generators that the model may draw from, as they are."""
        return Randomness.now({p.device for p in self.params.values()})

    def solution(
        self,
        found: Sequence[Tensor | None],
        meta_loss: Tensor,
        *,
        shared: Shared | None = None,
        doubt: Tensor | None = None,
    ) -> Solution:
        """The solution from the gradient in each of ``theta``, in order.

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
        return Solution(grads, meta_loss.detach(), shared, doubt)


def _places(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, int]]:
    """Where each tensor's values are, and how many times they have been written."""
    with torch._C.DisableTorchFunction():  # no part of the model
        values = {name: primal(t) for name, t in tensors.items()}
        return {name: (t.data_ptr(), t._version) for name, t in values.items()}


class Differentiable(Between):
    """While it is entered, what a model calls can be differentiated as a lookahead does.

    Recurrent layers take kernels that have the derivatives. Activation checkpointing is refused:
    what is computed again in the backward pass, after a functional call has ended, is computed with
    the live weights instead of the call's.
    """

    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call ``func``, unless a checkpoint is being made."""
        hooks = torch._C._autograd._top_saved_tensors_default_hooks(True)
        require(
            hooks is None or "checkpoint" not in hooks[0].__qualname__,
            "model: expected one without activation checkpointing, which computes again in the "
            "backward pass with other weights than the lookahead's, got torch.utils.checkpoint",
        )
        if func in RECURRENT:
            with torchs_own():
                return func(*args, **kwargs)
        return func(*args, **kwargs)


class Shared(NamedTuple):
    """A forward pass of the first batch through the live model, its buffers updated.

    Attributes:
        outputs: the logits, with the graph of the live parameters.
        randomness: the generators as the pass left them.
    """

    outputs: Tensor
    randomness: Randomness


@dataclass(frozen=True)
class Solution:
    r"""What a strategy found.

    Attributes:
        hypergradient: :math:`dM/d\theta`, by the adjuster's parameter names.
        meta_loss: :math:`M`, the meta loss after the lookahead, a detached scalar.
        shared: the forward pass that the ordinary step may go on from; ``None`` if it was not asked
            for, or the strategy has none to give.
        doubt: how many times as far apart as rounding explains passes are that have to agree, a
            scalar; ``None`` where no pass is made twice.
    """

    hypergradient: dict[str, Tensor]
    meta_loss: Tensor
    shared: Shared | None = None
    doubt: Tensor | None = None

    def check_consistent(self) -> None:
        """Raise an error if passes disagreed that have to agree; waits for the device.

        Raises:
            InputError: the model computes something else from the same weights, batch and random
                numbers, or its gradient is not that of its outputs.
        """
        require(
            self.doubt is None or not bool(self.doubt > 1),
            "model: expected the same outputs from the same weights, batch and random numbers, and "
            "a gradient that is theirs, but two passes disagree, so no lookahead would be right; "
            "draw random numbers from torch's, NumPy's or Python's global generators, and change "
            "nothing between calls",
        )

    def check_finite(self, batches: Mapping[str, Batch]) -> None:
        """Raise an error if the hypergradient is not finite, naming where that came from.

        Args:
            batches: what it was computed from, by what to call them.

        Raises:
            InputError: part of it is a NaN or infinite; waits for the device.
        """
        finite = torch.stack([g.isfinite().all() for g in self.hypergradient.values()])
        if bool(finite.all()):
            return
        for name, batch in batches.items():
            check_finite(f"{name}: inputs", batch.inputs)
            check_finite(f"{name}: targets", batch.targets)
        check_finite("meta loss", self.meta_loss)
        for name, grad in self.hypergradient.items():
            check_finite(f"hypergradient of {name}", grad)


def leaves(params: Mapping[str, Tensor]) -> Params:
    """The same values, to differentiate in."""
    return {name: p.detach().requires_grad_() for name, p in params.items()}


def copied(buffers: Buffers) -> Buffers:
    """Buffers that a forward pass may write to."""
    return {name: b.detach().clone() for name, b in buffers.items()}


@contextmanager
def buffers_of(module: nn.Module, buffers: Mapping[str, Tensor]) -> Iterator[None]:
    """Put other buffers in a module's place for a while."""
    now = dict(module.named_buffers())
    _put(module, buffers)
    try:
        yield
    finally:
        _put(module, now)


def _put(module: nn.Module, buffers: Mapping[str, Tensor]) -> None:
    for name, buffer in buffers.items():
        owner, _, leaf = name.rpartition(".")
        module.get_submodule(owner)._buffers[leaf] = buffer


@torch.no_grad()
def put_back(buffers: Buffers, before: Buffers) -> None:
    """Write ``before`` into ``buffers``."""
    for name, buffer in buffers.items():
        buffer.copy_(before[name])


def gradient(
    loss: Tensor, params: Params, *, create_graph: bool = False, retain_graph: bool = False
) -> Params:
    """The gradient in the parameters that the loss reaches, by name.

    Args:
        loss: a scalar.
        params: leaves.
        create_graph: make the gradient itself differentiable.
        retain_graph: keep the loss's graph.

    Raises:
        InputError: a gradient is sparse.
    """
    grads = torch.autograd.grad(
        loss,
        list(params.values()),
        create_graph=create_graph,
        retain_graph=create_graph or retain_graph,
        allow_unused=True,
    )
    for name, g in zip(params, grads, strict=True):
        require(
            g is None or g.layout == torch.strided,
            f"model: expected dense gradients, got a sparse one of {name}; make the embedding "
            "with sparse=False",
        )
    return {name: g for name, g in zip(params, grads, strict=True) if g is not None}
