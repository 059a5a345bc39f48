"""The outputs of a training step's layers, kept for the tangent pass after it.

The tangent pass then takes two thirds of the time, because the outputs of convolutions and linear
layers are known and only their tangents have to be computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from metaloss.bilevel.function_modes import Function, FunctionMode

LAYERS = frozenset([F.linear, F.conv1d, F.conv2d, F.conv3d])
"""The functions of inputs, weight and bias whose outputs are kept."""


class Activations:
    """The outputs of a forward pass's layers, in the order of their calls.

    Args:
        params: the weights of the forward pass, by name.
        copies: the weights of the tangent pass, by the same names.
        budget: the largest number of bytes to keep.
    """

    def __init__(
        self, params: Mapping[str, Tensor], copies: Mapping[str, Tensor], budget: float
    ) -> None:
        self.budget = budget
        self._names = {p.data_ptr(): name for name, p in params.items()}
        self._copies = {p.data_ptr(): name for name, p in copies.items()}
        self._calls: list[_Call] = []
        self._taken = 0
        self._mismatch = False

    def recorded(self) -> FunctionMode:
        """Return a mode in which the outputs of layers are put here."""
        return _Recorder(self)

    def put(self, func: Function, weight: Tensor, output: Tensor) -> None:
        """Keep the output of a layer whose weight is one of the parameters."""
        name = self._names.get(weight.data_ptr())
        if name is not None and output.requires_grad:
            self._calls.append(
                _Call(func, name, weight[0].numel(), output.detach(), output._version)
            )

    def trim(self) -> None:
        """Drop the outputs that exceed the budget, those with the least work per byte first."""
        left = self.budget
        for k, call in sorted(enumerate(self._calls), key=lambda pair: -pair[1].work):
            assert call.output is not None
            size = call.output.numel() * call.output.element_size()
            if size <= left and call.output._version == call.version:
                left -= size
            else:  # the output is too large, or another layer has written to it
                self._calls[k] = call._replace(output=None)

    def take(self, func: Function, weight: Tensor) -> Tensor | None:
        """Return the output of the same call in the training step, if it was kept."""
        name = self._copies.get(weight.data_ptr())
        if name is None or self._mismatch:
            return None
        if self._taken == len(self._calls):
            self._mismatch = True
            return None
        call = self._calls[self._taken]
        self._taken += 1
        self._mismatch = (call.func, call.name) != (func, name)
        if self._mismatch or call.output is None or call.output.dtype != weight.dtype:
            return None
        return call.output if call.output._version == call.version else None

    @property
    def matched(self) -> bool:
        """Whether the second pass made the same calls as the first, in the same order."""
        return not self._mismatch and self._taken == len(self._calls)


class _Call(NamedTuple):
    func: Function
    name: str
    work: int  # multiplications per element of the output
    output: Tensor | None
    version: int


class _Recorder(FunctionMode):
    def __init__(self, activations: Activations) -> None:
        super().__init__()
        self.activations = activations

    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        out = func(*args, **kwargs)
        if func in LAYERS:
            weight = args[1] if len(args) > 1 else kwargs["weight"]
            self.activations.put(func, weight, out)
        return out
