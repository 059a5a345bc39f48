"""Samples that stay in a file and are read when they are needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.digest import digest

_CHUNK = 1 << 26  # bytes that are read at once
_DIGESTED = 1024  # samples that a fingerprint reads


@dataclass(frozen=True, eq=False)
class MappedSamples:
    """Some samples of a tensor over a memory-mapped file, in an order of their own.

    A part of the samples is a list of positions: nothing is copied until samples are read.

    Attributes:
        whole: all samples of the file, ``[samples, ...]``, uint8 or floating point.
        index: the positions of these samples in ``whole``, ``[chosen]``, int64.
        name: the name of the file, for the fingerprint.

    Example:
        >>> import torch
        >>> from metaloss.tasks import MappedSamples
        >>> whole = torch.arange(10.0).view(5, 2)  # in practice, over a file
        >>> some = MappedSamples(whole, torch.tensor([4, 0, 2]), "x.npy").take(torch.tensor([2, 0]))
        >>> some.shape, some[torch.tensor([1])]
        (torch.Size([2, 2]), tensor([[8., 9.]]))
    """

    whole: Tensor
    index: Int[Tensor, " chosen"]
    name: str

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.index)

    @property
    def shape(self) -> torch.Size:
        """The shape, ``[chosen, ...]``."""
        return torch.Size([len(self.index), *self.whole.shape[1:]])

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self.whole.ndim

    @property
    def dtype(self) -> torch.dtype:
        """Samples are read as uint8, or as float32 from any file of floating-point numbers."""
        return torch.float32 if self.is_floating_point() else self.whole.dtype

    def is_floating_point(self) -> bool:
        """Return whether the samples are floating-point numbers."""
        return self.whole.is_floating_point()

    def __getitem__(self, positions: Int[Tensor, " read"]) -> Tensor:
        """Read some of the samples into memory, in the order given, on the CPU.

        Args:
            positions: their positions among these samples, int64, on any device.
        """
        rows = self.index[positions.cpu()]
        return self.whole.index_select(0, rows).to(self.dtype).contiguous()

    def take(self, positions: Int[Tensor, " taken"]) -> MappedSamples:
        """Return some of the samples, in the order given; nothing is read.

        Args:
            positions: their positions among these samples, int64.
        """
        return replace(self, index=self.index[positions.cpu()])

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the file's name and shape, of the positions, and of a part of the samples.

        Of a large file, 1,024 samples at equal distances are read, so that it takes no time.
        """
        some = torch.linspace(0, len(self) - 1, min(len(self), _DIGESTED), dtype=torch.float64)
        return digest(f"{self.name} {list(self.whole.shape)}", self.index, self[some.long()])


def chunks(samples: Tensor | MappedSamples) -> Iterator[Tensor]:
    """Yield all samples, about 64 MiB at a time.

    Args:
        samples: ``[samples, ...]``.

    Example:
        >>> import torch
        >>> from metaloss.tasks.mapped import chunks
        >>> [len(chunk) for chunk in chunks(torch.zeros(5, 2))]
        [5]
    """
    row = max(1, samples.shape[1:].numel() * samples.dtype.itemsize)
    for begin in range(0, len(samples), max(1, _CHUNK // row)):
        at = slice(begin, begin + max(1, _CHUNK // row))
        if isinstance(samples, MappedSamples):
            yield samples[torch.arange(len(samples))[at]]
        else:
            yield samples[at]


def joined_samples(parts: Sequence[Tensor | MappedSamples]) -> Tensor | MappedSamples:
    """Return samples one after the other; those of one file are not read.

    Args:
        parts: tensors, or samples of one and the same file.
    """
    first = parts[0]
    if len(parts) == 1:
        return first
    if isinstance(first, MappedSamples):
        mapped = [part for part in parts if isinstance(part, MappedSamples)]
        assert len(mapped) == len(parts)
        assert all(part.whole is first.whole for part in mapped)
        return replace(first, index=torch.cat([part.index for part in mapped]))
    return torch.cat([part for part in parts if isinstance(part, Tensor)])
