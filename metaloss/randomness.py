"""The states of random number generators: with them restored, dropout draws the same mask."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor


class Randomness(NamedTuple):
    """The states of the global generators that a forward pass may draw from.

    They are those of torch on the CPU and on given CUDA devices, of NumPy and of Python, but not
    generators of a model's own.

    Attributes:
        cpu: the state of torch's generator on the CPU.
        cuda: the states of torch's generators on CUDA devices.
        numpy: the state of ``numpy.random``.
        python: the state of ``random``.
    """

    cpu: Tensor
    cuda: dict[torch.device, Tensor]
    numpy: Any
    python: Any

    @classmethod
    def now(cls, devices: Iterable[torch.device] = ()) -> Randomness:
        """Return the present states."""
        cuda = {d: torch.cuda.get_rng_state(d) for d in devices if d.type == "cuda"}
        numpy = np.random.get_state()  # noqa: NPY002 - the one that models draw from
        return cls(torch.get_rng_state(), cuda, numpy, random.getstate())

    def restore(self) -> None:
        """Set the generators to these states.

        Example:
            >>> import torch
            >>> from metaloss.randomness import Randomness
            >>> state = Randomness.now()
            >>> first = torch.rand(3)
            >>> state.restore()
            >>> torch.equal(torch.rand(3), first)
            True
        """
        torch.set_rng_state(self.cpu)
        for device, state in self.cuda.items():
            torch.cuda.set_rng_state(state, device)
        np.random.set_state(self.numpy)  # noqa: NPY002
        random.setstate(self.python)

    def state_dict(self) -> dict[str, Any]:
        """Return the states as tensors and plain values; that of one CUDA device at most."""
        algorithm, keys, *rest = self.numpy
        return {
            "rng": self.cpu,
            "cuda_rng": next(iter(self.cuda.values()), None),
            "numpy_rng": (algorithm, torch.from_numpy(keys.astype(np.int64)), *rest),
            "python_rng": self.python,
        }

    @classmethod
    def of_state_dict(cls, saved: Mapping[str, Any], device: torch.device) -> Randomness:
        """Return the states that :meth:`state_dict` returned.

        Args:
            saved: the states. Of an older checkpoint, those of NumPy and Python are missing, and
                stay as they are.
            device: the device whose generator has the state of the CUDA device.
        """
        now, cuda = cls.now(), saved["cuda_rng"]
        if isinstance(cuda, list):  # an older checkpoint has those of all GPUs
            cuda = dict(enumerate(cuda)).get(device.index or 0)
        numpy, python = now.numpy, now.python
        if "numpy_rng" in saved:
            algorithm, keys, *rest = saved["numpy_rng"]
            numpy, python = (algorithm, keys.numpy().astype(np.uint32), *rest), saved["python_rng"]
        has_one = device.type == "cuda" and cuda is not None
        return cls(saved["rng"], {device: cuda} if has_one else {}, numpy, python)


@contextmanager
def randomness_restored(devices: Iterable[torch.device] = ()) -> Iterator[None]:
    """Restore the generators' states when the block ends.

    Args:
        devices: CUDA devices whose generators are restored too.

    Example:
        >>> import random
        >>> from metaloss.randomness import randomness_restored
        >>> with randomness_restored():
        ...     first = random.random()
        >>> first == random.random()
        True
    """
    before = Randomness.now(devices)
    try:
        yield
    finally:
        before.restore()
