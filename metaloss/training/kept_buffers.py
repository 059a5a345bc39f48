"""Copies of buffers, to undo what a forward pass wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Batch norm writes its statistics without changing their version, so that small buffers are always
# copied. Large ones, such as masks, are only if their version is new.
SMALL = 2**16


class KeptBuffers:
    """Copies of the buffers of modules, to undo what the forward pass of a skipped step wrote.

    A batch that is not finite makes the running statistics of batch norm NaN for good, although
    its step is skipped, and so the memory of a conditioner.

    Args:
        modules: the modules, which keep their parts.

    Example:
        >>> import torch
        >>> from metaloss.training.kept_buffers import KeptBuffers
        >>> norm = torch.nn.BatchNorm1d(2)
        >>> kept = KeptBuffers(norm)
        >>> kept.keep()
        >>> _ = norm(torch.full((3, 2), torch.nan))
        >>> kept.restore()
        >>> norm.running_mean
        tensor([0., 0.])
    """

    def __init__(self, *modules: nn.Module) -> None:
        self._places = [
            (part._buffers, name)
            for module in modules
            for part in module.modules()
            for name in part._buffers
        ]
        self._kept: list[_Kept | None] = [None] * len(self._places)

    @torch.no_grad()
    def keep(self) -> None:
        """Copy the buffers, but for large ones that nothing wrote to; no wait for the device."""
        for i, (buffers, name) in enumerate(self._places):
            value, last = buffers[name], self._kept[i]
            if value is None:
                self._kept[i] = None
            elif last is None or last.value is not value or last.copy.shape != value.shape:
                self._kept[i] = _Kept(value, value.detach().clone(), value._version)
            elif value.numel() <= SMALL or last.version != value._version:
                last.copy.copy_(value)
                last.version = value._version

    @torch.no_grad()
    def restore(self) -> None:
        """Undo what was written since the last :meth:`keep`."""
        for (buffers, name), last in zip(self._places, self._kept, strict=True):
            if last is not None:
                last.value.copy_(last.copy)
                buffers[name] = last.value


@contextmanager
def restored(*modules: nn.Module) -> Iterator[None]:
    """Undo what is written to the buffers of modules inside the ``with`` block."""
    kept = KeptBuffers(*modules)
    kept.keep()
    try:
        yield
    finally:
        kept.restore()


@dataclass
class _Kept:
    """A buffer, its copy, and the version of the buffer that was copied."""

    value: Tensor
    copy: Tensor
    version: int
