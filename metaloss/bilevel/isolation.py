"""The torch settings under which a hypergradient is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from metaloss.bilevel.preconditions import inference_mode_refused
from metaloss.randomness import randomness_restored


@contextmanager
def isolated(devices: Iterable[torch.device]) -> Iterator[None]:
    """Record gradients in full precision, and restore the random generators at the end.

    Args:
        devices: the devices of the parameters.

    Raises:
        InputError: part of the model runs under ``torch.inference_mode()``.
    """
    devices = set(devices)
    with ExitStack() as stack:
        stack.enter_context(randomness_restored(devices))
        stack.enter_context(torch.enable_grad())
        for device in devices:  # differences and tangents need all digits
            stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(inference_mode_refused())
        yield
