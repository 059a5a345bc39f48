"""What one forward pass leaves for a second one through the same weights, batch and random numbers.

The hypergradient needs the network's values at :math:`w_0` twice, with the whole clean pass between
them. To keep the graph would double the memory; to keep the batch statistics costs nothing, and the
outputs of the layers that take longest for their size cost little.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

from metaloss.bilevel.batch_norm import Statistics
from metaloss.bilevel.dual import Function, NotCarriedError

LAYERS: tuple[Function, ...] = (F.linear, F.conv1d, F.conv2d, F.conv3d)
"""Functions of inputs, weight, bias and options whose outputs may be kept."""


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
        self.calls: deque[tuple[Function, Statistics | Output | None]] = deque()

    def put(self, func: Function, found: Statistics | Output) -> None:
        """Note what a call of ``func`` computed."""
        self.calls.append((func, found))

    def trim(self) -> None:
        """Let go of all outputs but those that took most work a byte and fit into the budget."""
        budget = self.budget
        outputs = [
            (i, found) for i, (_, found) in enumerate(self.calls) if isinstance(found, Output)
        ]
        for i, found in sorted(outputs, key=lambda pair: -pair[1].work):
            size = found.value.numel() * found.value.element_size()
            if size <= budget and found.value._version == found.version:
                budget -= size
            else:
                self.calls[i] = self.calls[i][0], None

    def take(self, func: Function) -> Any:
        """What the same call computed in the first pass; ``None`` if it was not kept.

        Args:
            func: for ``F.batch_norm`` it is :class:`Statistics`, else an :class:`Output`.

        Raises:
            NotCarriedError: the first pass made another call here.
        """
        if not self.calls:
            return None
        noted, found = self.calls.popleft()
        if noted is not func:
            raise NotCarriedError(f"the model calls {func} where it called {noted} before")
        return found


class Keeping(TorchFunctionMode):
    """While it is entered, the forward pass of a model leaves what it computes in ``kept``."""

    def __init__(self, kept: Kept) -> None:
        super().__init__()
        self.kept = kept

    def __torch_function__(
        self,
        func: Function,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call ``func``, and note what is worth it."""
        kwargs = kwargs or {}
        if func is F.batch_norm:
            return self._batch_norm(*args, **kwargs)
        out = func(*args, **kwargs)
        if func in LAYERS:
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            value = out.detach()
            self.kept.put(func, Output(value, value._version, weight[0].numel()))
        return out

    def _batch_norm(
        self,
        input: Tensor,
        running_mean: Tensor | None,
        running_var: Tensor | None,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        training: bool = False,
        momentum: float = 0.1,
        eps: float = 1e-5,
    ) -> Tensor:
        out, mean, rstd = torch.native_batch_norm(
            input, weight, bias, running_mean, running_var, training, momentum, eps
        )
        self.kept.put(F.batch_norm, Statistics(mean, rstd))
        return out
