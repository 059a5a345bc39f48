"""Independent streams of random numbers from one seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from metaloss.checks import check_at_least, require
from metaloss.randomness import randomness_restored


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise :class:`~metaloss.checks.InputError` unless there are seeds, all of them different."""
    require(
        0 < len(set(seeds)) == len(seeds),
        f"seeds: expected one or more different ones, such as (0, 1), got {seeds!r}",
    )
    for seed in seeds:
        check_at_least("seeds", seed, 0)


def derive(seed: int, *stream: str | int) -> int:
    """Return a seed for one named stream, independent of those of other streams.

    Args:
        seed: the run's seed.
        stream: what the stream is for, such as ``"noise"`` or ``"augment", epoch, batch``.

    Returns:
        A number in ``[0, 2**63)``, the same on every machine.

    Example:
        >>> from metaloss.seeding import derive
        >>> derive(0, "noise") == derive(0, "noise"), derive(0, "noise") == derive(1, "noise")
        (True, False)
    """
    words = "/".join(str(word) for word in (seed, *stream))
    return int.from_bytes(hashlib.sha256(words.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *stream: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator for one named stream; see :func:`derive`.

    Example:
        >>> import torch
        >>> from metaloss.seeding import generator
        >>> torch.rand(1, generator=generator(0, "noise")).shape
        torch.Size([1])
    """
    return torch.Generator(device).manual_seed(derive(seed, *stream))


def seed_everything(seed: int) -> None:
    """Seed the global generators of torch, NumPy and Python.

    They initialize parameters and draw dropout masks.
    """
    torch.manual_seed(derive(seed, "global"))
    _seed_others(derive(seed, "numpy"), seed)


@contextmanager
def global_generators(seed: int) -> Iterator[None]:
    """Seed the global generators that other libraries use, and restore them afterwards.

    They are those of Python, of NumPy and of torch on the CPU.

    Example:
        >>> import random
        >>> from metaloss.seeding import global_generators
        >>> with global_generators(3):
        ...     first = random.random()
        >>> with global_generators(3):
        ...     first == random.random()
        True
    """
    with randomness_restored():
        torch.manual_seed(derive(seed, "torch"))
        _seed_others(derive(seed, "numpy"), seed)
        yield


def _seed_others(numpy: int, python: int) -> None:
    np.random.seed(numpy % 2**32)  # noqa: NPY002
    random.seed(python)
