"""Independent streams of randomness from one seed."""

from __future__ import annotations

import hashlib

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
