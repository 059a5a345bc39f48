"""Independent streams of randomness from one seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def derive(seed: int, *stream: str | int) -> int:
    """A seed for one named stream, independent of every other stream's.

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
    """A generator for one named stream; see :func:`derive`.

    Example:
        >>> import torch
        >>> from metaloss.seeding import generator
        >>> torch.rand(1, generator=generator(0, "noise")).shape
        torch.Size([1])
    """
    return torch.Generator(device).manual_seed(derive(seed, *stream))


def seed_everything(seed: int) -> None:
    """Seed torch's global generators, which parameter initialisation and dropout draw from."""
    torch.manual_seed(derive(seed, "global"))


@contextmanager
def global_generators(seed: int) -> Iterator[None]:
    """Seed the global generators that other libraries draw from, and put them back afterwards.

    They are Python's, NumPy's and, on the CPU, torch's.

    Example:
        >>> import random
        >>> from metaloss.seeding import global_generators
        >>> with global_generators(3):
        ...     first = random.random()
        >>> with global_generators(3):
        ...     first == random.random()
        True
    """
    with generators_kept():
        torch.manual_seed(derive(seed, "torch"))
        np.random.seed(derive(seed, "numpy") % 2**32)  # noqa: NPY002
        random.seed(seed)
        yield


@contextmanager
def generators_kept(device: torch.device | str = "cpu") -> Iterator[None]:
    """Put the global generators back afterwards: Python's, NumPy's and torch's.

    Args:
        device: whose torch generator is put back, beside the CPU's.

    Example:
        >>> import torch
        >>> from metaloss.seeding import generators_kept
        >>> with generators_kept():
        ...     first = torch.rand(3)
        >>> torch.equal(first, torch.rand(3))
        True
    """
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - others' own
    used = torch.device(device)
    forked = [] if used.type == "cpu" else [used]
    with torch.random.fork_rng(forked, device_type="cuda" if not forked else used.type):
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002
