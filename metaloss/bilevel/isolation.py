"""The settings of torch under which a hypergradient is computed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from metaloss.checks import InputError
from metaloss.randomness import randomness_restored


@contextmanager
def _inference_mode_refused() -> Iterator[None]:
    """Turn torch's errors about inference tensors into one that says what to do.

    Raises:
        InputError: part of the model runs under ``torch.inference_mode()``.
    """
    try:
        yield
    except RuntimeError as error:
        if "nference tensor" not in str(error):
            raise
        raise InputError(
            "model: expected outputs that gradients can be computed with, but part of it runs "
            "under torch.inference_mode(); run that part under torch.no_grad()"
        ) from error


@contextmanager
def isolated(devices: Iterable[torch.device]) -> Iterator[None]:
    """Record gradients in full precision, and restore the random generators at the end.

    Raises:
        InputError: part of the model runs under ``torch.inference_mode()``.
    """
    devices = set(devices)
    with ExitStack() as stack:
        stack.enter_context(randomness_restored(devices))
        stack.enter_context(torch.enable_grad())
        for kind in {device.type for device in devices}:
            if torch.amp.is_autocast_available(kind):  # differences and tangents need all digits
                stack.enter_context(torch.autocast(kind, enabled=False))
        stack.enter_context(_inference_mode_refused())
        yield
