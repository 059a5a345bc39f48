"""What a trial before the run changes, and what is restored after it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from metaloss.bilevel.network import copied
from metaloss.randomness import randomness_restored


def tensors(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}


@contextmanager
def tensors_restored(module: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Restore the values of parameters and buffers afterwards; yields copies of them."""
    before = copied(tensors(module))
    try:
        yield before
    finally:
        with torch.no_grad():
            for name, tensor in tensors(module).items():
                tensor.copy_(before[name])


@contextmanager
def nothing_changed(device: torch.device) -> Iterator[None]:
    """Restore the random generators afterwards, and ignore warnings, which the run will repeat."""
    with randomness_restored({device}), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
