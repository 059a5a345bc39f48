"""What makes training faster without changing what is trained."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloss.arguments import check_arguments
from metaloss.checks import InputError, check_in_range, require
from metaloss.types import Batch

Forward = Callable[[Tensor], Tensor]
COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What makes training faster without changing what is trained, but for rounding.

    Args:
        channels_last: lay images and convolutions out with the channels last, which most processors
            are faster with.
        autocast: run the ordinary steps' forward passes in bfloat16 where torch deems it safe.
            Loss, adjuster and everything in a meta step stay in the parameters' own precision.
        compile: a mode of ``torch.compile`` for the ordinary steps' network. ``"reduce-overhead"``
            uses CUDA graphs on a GPU. It takes a C++ compiler.
        keep_activations: MiB of a step's activations to keep for the meta step after it, which then
            takes a third of a plain step less; with ``Recipe(meta_update="after")``.

    Raises:
        InputError: an argument of another type, a negative size, or an unknown mode.

    Example:
        >>> from metaloss.training import Speed
        >>> Speed(channels_last=True).autocast
        False
    """

    channels_last: bool = False
    autocast: bool = False
    compile: str | None = None
    keep_activations: float = 0.0

    def __post_init__(self) -> None:
        """Check the types and the mode."""
        check_arguments(self)
        check_in_range("keep_activations", self.keep_activations, 0.0)
        require(
            self.compile in {None, *COMPILE_MODES},
            f"compile: expected None or one of {', '.join(COMPILE_MODES)}, got {self.compile!r}",
        )

    def prepare(self, model: nn.Module) -> Forward:
        """Lay a network out as asked for, in place, and make the ordinary steps' forward pass."""
        if self.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        device = next(model.parameters()).device.type
        call: Forward = model if self.compile is None else _compiled(model, self.compile)
        if not self.autocast:
            return call

        def forward(inputs: Tensor) -> Tensor:
            with torch.autocast(device, torch.bfloat16):
                return call(inputs).float()

        return forward

    def laid_out(self, batch: Batch) -> Batch:
        """The batch, its images with the channels last if that is asked for."""
        if not self.channels_last or batch.inputs.ndim != 4:
            return batch
        return batch._replace(inputs=batch.inputs.contiguous(memory_format=torch.channels_last))


def _compiled(model: nn.Module, mode: str) -> Forward:
    # Dropout has to draw the masks that the passes of a meta step, which are not compiled, draw.
    options = {**torch._inductor.list_mode_options(mode), "fallback_random": True}
    call = torch.compile(model, options=options)

    def forward(inputs: Tensor) -> Tensor:
        try:
            return call(inputs)
        except torch._dynamo.exc.BackendCompilerFailed as error:
            raise InputError(
                f"compile: expected a network that torch.compile can compile here, but it says: "
                f"{str(error).splitlines()[0]}"
            ) from error

    return forward


def keep_freed_memory() -> bool:
    """Tell the C library's allocator to keep what a process frees, until it ends.

    glibc gives large blocks back to the system as soon as they are free. A training step frees its
    activations at its end and asks for as much again: on a CPU, to have the pages mapped anew can
    take a third of a meta step.

    Returns:
        Whether it was told; only glibc understands.

    Example:
        >>> from metaloss.training.speed import keep_freed_memory
        >>> keep_freed_memory() in {True, False}
        True
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mmap_threshold, trim_threshold, top_pad = -3, -1, -2  # malloc.h
    mallopt = ctypes.CDLL(None).mallopt
    told = [
        mallopt(mmap_threshold, 32 * 2**20),
        mallopt(trim_threshold, 2**31 - 1),
        mallopt(top_pad, 64 * 2**20),
    ]
    return all(told)
