"""Options that make training faster, and change results by rounding at most."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloss.arguments import check_arguments
from metaloss.checks import InputError, check_in_range, require
from metaloss.training.engine import Engine, Forward
from metaloss.types import Batch

COMPILE_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Options that make training faster, and change results by rounding at most.

    Args:
        channels_last: store images and convolutions with the channels last, which is faster on
            most processors.
        autocast: run the ordinary steps' forward passes under bfloat16 autocast. The loss, the
            adjuster and the meta steps keep the precision of the parameters.
        compile: a mode of ``torch.compile`` for the network in ordinary steps; it needs a C++
            compiler. ``"reduce-overhead"`` uses CUDA graphs on a GPU.
        keep_activations: MiB of a step's activations to keep for the meta step after it, which is
            then faster by a third of a plain step; with ``Recipe(meta_update="after")``.

    Raises:
        InputError: An argument has the wrong type, the size is negative, or the mode is unknown.

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

    def prepare(self, model: nn.Module, engine: Engine | None = None) -> Forward:
        """Set a network's memory format, and return the forward pass for ordinary steps.

        Args:
            model: the network.
            engine: what it is trained on; this process by default.

        Raises:
            InputError: the network is to be compiled, and the engine wraps it.
        """
        if self.channels_last:
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        device = next(model.parameters()).device.type
        call: Forward = model if engine is None else engine.wrapped(model)
        if self.compile is not None:
            require(
                call is model,
                f"compile: expected None with {type(engine).__name__}, which wraps the network, "
                f"got {self.compile!r}",
            )
            call = _compiled(model, self.compile)
        if not self.autocast:
            return call

        def forward(inputs: Tensor) -> Tensor:
            with torch.autocast(device, torch.bfloat16):
                return call(inputs).float()

        return forward

    def laid_out(self, batch: Batch) -> Batch:
        """Return the batch, with images in the memory format that was asked for."""
        images = batch.inputs
        if not self.channels_last or not isinstance(images, Tensor) or images.ndim != 4:
            return batch
        return batch._replace(inputs=images.contiguous(memory_format=torch.channels_last))


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
