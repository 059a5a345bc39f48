"""What one forward pass leaves for a second one through the same weights, batch and random numbers.

The hypergradient needs the network's values at :math:`w_0` twice, with the whole clean pass between
them. To keep the graph would double the memory; to keep the batch statistics costs nothing, and the
outputs of the layers that take longest for their size cost little.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from metaloss.bilevel.batch_norm import BatchNorm, Statistics
from metaloss.bilevel.dual import NoForwardRuleError, NotCarriedError, primal
from metaloss.bilevel.modes import Between, Function

LAYERS: tuple[Function, ...] = (F.linear, F.conv1d, F.conv2d, F.conv3d)
"""Functions of inputs, weight, bias and options whose outputs may be kept."""

KEEPERS = frozenset([*LAYERS, F.batch_norm])
"""Functions whose calls are noted."""


class Output(NamedTuple):
    """A layer's output.

    Attributes:
        value: detached.
        version: the tensor's when it was made; another one later says that it was written to.
        work: multiplications an element took.
    """

    value: Tensor
    version: int
    work: int


class Kept:
    """What the first pass computed, in the order of its calls; the second takes it in that order.

    Args:
        budget: bytes of layers' outputs to keep beyond the first pass.
    """

    def __init__(self, budget: float) -> None:
        self.budget = budget
        self.calls: deque[Call] = deque()

    def put(self, func: Function, weight: Tensor | None, found: Statistics | Output) -> None:
        """Note what a call of ``func`` with these weights computed."""
        self.calls.append(Call(func, _place(weight), found))

    def trim(self) -> None:
        """Let go of all outputs but those that took most work a byte and fit into the budget."""
        budget = self.budget
        outputs = [
            (i, call.found) for i, call in enumerate(self.calls) if isinstance(call.found, Output)
        ]
        for i, found in sorted(outputs, key=lambda pair: -pair[1].work):
            size = found.value.numel() * found.value.element_size()
            if size <= budget and found.value._version == found.version:
                budget -= size
            else:
                self.calls[i] = self.calls[i]._replace(found=None)

    def take(self, func: Function, weight: Tensor | None) -> Any:
        """What the same call computed in the first pass; ``None`` if it was not kept.

        Args:
            func: for ``F.batch_norm`` it is :class:`Statistics`, else an :class:`Output`.
            weight: the call's.

        Raises:
            NotCarriedError: the first pass made another call here.
        """
        if not self.calls:
            return None
        call = self.calls.popleft()
        if call.func is not func:
            raise NotCarriedError(f"the model calls {func} where it called {call.func} before")
        # Other weights: computed from parameters, or of another layer.
        return call.found if call.place == _place(weight) else None


class Call(NamedTuple):
    """What a call of the first pass left.

    Attributes:
        func: what was called.
        place: where its weights are in memory.
        found: what it computed, if it was kept.
    """

    func: Function
    place: int
    found: Statistics | Output | None


def _place(weight: Tensor | None) -> int:
    return 0 if weight is None else weight.data_ptr()


def weight_of(func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """The weights that one of ``KEEPERS`` is called with."""
    at = 3 if func is F.batch_norm else 1
    return primal(args[at] if len(args) > at else kwargs.get("weight"))


def refuse_hooks(func: Function) -> None:
    """Raise ``NoForwardRuleError`` for a hook on a gradient, which has no counterpart in tangents.

    Args:
        func: about to be called.
    """
    if func in {Tensor.register_hook, Tensor.register_post_accumulate_grad_hook}:
        raise NoForwardRuleError(func.__name__)


class Keeping(Between):
    """While it is entered, the forward pass of a model leaves what it computes in ``kept``."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self.kept = kept

    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Call ``func``, and note what is worth it."""
        refuse_hooks(func)
        if func is F.batch_norm:
            given = BatchNorm(*args, **kwargs)
            out, *statistics = given()
            self.kept.put(func, given.weight, Statistics(*statistics))
            return out
        out = func(*args, **kwargs)
        if func in LAYERS and not out.is_inference():
            weight = weight_of(func, args, kwargs)
            value = out.detach()
            self.kept.put(func, weight, Output(value, value._version, weight[0].numel()))
        return out
