"""The base of this package's torch function modes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode

Function = Callable[..., Any]


class FunctionMode(TorchFunctionMode, ABC):
    """A mode in which every call of a torch function goes through :meth:`call` first."""

    def __torch_function__(
        self,
        func: Function,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Pass the call on to :meth:`call`; torch calls this method."""
        return self.call(func, args, kwargs or {})

    @abstractmethod
    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Return the result of ``func``; the mode is off inside this method."""
