"""Something that stands between a model and the torch functions that it calls."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch.overrides import TorchFunctionMode

Function = Callable[..., Any]


class Between(TorchFunctionMode, ABC):
    """While it is entered, every call of a torch function comes here first."""

    def __torch_function__(
        self,
        func: Function,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What torch calls."""
        return self.call(func, args, kwargs or {})

    @abstractmethod
    def call(self, func: Function, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Stand for a call of ``func``; what is called in here does not come here again."""
