"""What a training runs on: this process, as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from metaloss.checks import require
from metaloss.processes import ending_together, together, world_size

Forward = Callable[..., Tensor]
"""The forward pass of a network."""

FULL = "32-true"
"""Lightning's name of float32 everywhere."""


@dataclass(frozen=True)
class Engine:
    """Runs a training in this process alone, in the precision of its tensors.

    Subclasses train in several processes or in mixed precision; see
    :class:`~metaloss.training.FabricEngine`.

    Example:
        >>> from metaloss.training import Engine
        >>> Engine().launch()  # there is nothing to start
    """

    @property
    def precision(self) -> str:
        """Lightning's name of the precision of ordinary steps."""
        return FULL

    @property
    def processes(self) -> int:
        """The number of processes on this machine."""
        return 1

    def launch(self) -> None:
        """Start the other processes and join them, if that has not been done.

        Raises:
            InputError: this process already trains together with others, which this engine does
                not do.
        """
        require(
            not together(),
            f"engine: expected FabricEngine(devices=...) where {world_size()} processes train "
            "together, got Engine; or run each on its own, inside of metaloss.processes.alone()",
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run what is inside of the ``with`` block, on all processes.

        Raises:
            LostProcessError: another process has ended, or does not answer.
        """
        self.launch()
        with ending_together():
            yield

    @property
    def device(self) -> torch.device | None:
        """The device of this process; ``None`` if the settings of the run choose it."""
        return None

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        """The gradient scaler of the steps, if they have one."""
        return None

    def wrapped(self, model: nn.Module) -> Forward:
        """Return the forward pass of ordinary steps.

        Args:
            model: the network, whose tensors stay where they are.
        """
        return model

    def backward(self, loss: Tensor, inputs: Sequence[Tensor]) -> None:
        """Compute the gradients of a loss.

        Args:
            loss: the mean over this process's part of the batch.
            inputs: the tensors whose ``grad`` is filled.
        """
        loss.backward(inputs=inputs)  # type: ignore[no-untyped-call]

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Remove a gradient scaler's factor before gradients are clipped."""

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the optimizer's step."""
        optimizer.step()
