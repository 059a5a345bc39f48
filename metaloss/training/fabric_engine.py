"""Training in several processes and in mixed precision, by Lightning Fabric."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from metaloss.arguments import check_arguments
from metaloss.checks import InputError, check_at_least, check_in_range, check_one_of, require
from metaloss.training.engine import FULL, Engine, Forward

PRECISIONS = (FULL, "bf16-mixed", "16-mixed")


@dataclass(frozen=True, kw_only=True)
class FabricEngine(Engine):
    """Trains one network in several processes, each with its part of every batch, by Fabric.

    Each process holds the whole network, the adjuster and the memory of the conditioner, and
    computes with its part of each batch and of each clean batch. ``DistributedDataParallel``
    averages the gradients of ordinary steps, and the meta step averages its own, so the result is
    that of one process with the whole batch, up to rounding. Batch normalization is the exception:
    each process normalizes by its own part, as it does in ``DistributedDataParallel``.

    Args:
        devices: the number of processes on this machine, each on a device of its own; on the CPU
            they share the cores.
        precision: ``"32-true"``, or ``"bf16-mixed"`` and ``"16-mixed"``, in which the forward and
            backward passes of ordinary steps run in half precision. Losses, meta steps and the
            adjuster keep float32.
        accelerator: ``"cpu"``, ``"cuda"``, or ``"auto"`` for a GPU if there is one.
        timeout: the seconds that a process waits for another one before it takes it for dead. The
            others wait while the first one writes files.

    Raises:
        InputError: fewer than one device, an unknown precision or accelerator; or, at the launch,
            lightning-fabric is not installed, or there are not so many devices.

    Example:
        >>> from metaloss.training import FabricEngine
        >>> FabricEngine(devices=2, precision="bf16-mixed").devices
        2
    """

    devices: int = 1
    precision: str = FULL  # a setting here, in place of the property
    accelerator: str = "auto"
    timeout: float = 60.0

    def __post_init__(self) -> None:
        """Check all of it."""
        check_arguments(self)
        check_at_least("devices", self.devices, 1)
        check_in_range("timeout", self.timeout, 1.0)
        check_one_of("precision", self.precision, PRECISIONS)
        check_one_of("accelerator", self.accelerator, ("auto", "cpu", "cuda"))

    def launch(self) -> None:
        """Start the other processes and join them, unless ``torchrun`` started all of them.

        Raises:
            InputError: there are not so many processes or devices, or no way to join them.
        """
        _ = self._joined

    @property
    def processes(self) -> int:
        """The number of processes on this machine."""
        return self.devices

    @property
    def device(self) -> torch.device:
        """The device of this process."""
        return self.fabric.device

    @property
    def scaler(self) -> torch.amp.GradScaler | None:
        """The gradient scaler of ``"16-mixed"``."""
        return getattr(self.fabric.strategy.precision, "scaler", None)

    def wrapped(self, model: nn.Module) -> Forward:
        """Return the forward pass in the precision asked for, through data parallelism."""
        forward: Forward = self.fabric.setup_module(model)
        return forward

    def backward(self, loss: Tensor, inputs: Sequence[Tensor]) -> None:
        """Compute the mean over all processes of the gradients of their losses."""
        self.fabric.backward(loss, inputs=inputs)

    def unscale(self, optimizer: torch.optim.Optimizer) -> None:
        """Remove the gradient scaler's factor."""
        self.fabric.strategy.precision.unscale_gradients(optimizer)

    def step(self, optimizer: torch.optim.Optimizer) -> None:
        """Take the optimizer's step, unless the gradient scaler skips it."""
        self.fabric.strategy.optimizer_step(optimizer)

    @cached_property
    def _joined(self) -> bool:
        fabric = self.fabric  # its own errors are InputErrors, which are ValueErrors
        try:
            fabric.launch()
        except (RuntimeError, ValueError) as error:
            said = " ".join(str(error).split())
            raise InputError(
                f"expected {self._number} processes that can join, but Fabric says: {said}"
            ) from error
        require(
            self._number == self.fabric.world_size,
            f"devices: expected {self._number} processes, got {self.fabric.world_size}",
        )
        return True

    @property
    def _number(self) -> int:
        """The number of processes on all machines."""
        return self.devices * _machines()

    @cached_property
    def fabric(self) -> Any:
        """The ``lightning_fabric.Fabric`` that does it.

        Raises:
            InputError: it is not installed, or refuses the settings; or the device is a CPU, which
                has no ``"16-mixed"``: there Fabric would train in bfloat16 instead.
        """
        auto_is_cpu = self.accelerator == "auto" and not torch.accelerator.is_available()
        require(
            self.precision != "16-mixed" or not (auto_is_cpu or self.accelerator == "cpu"),
            "precision: expected 32-true or bf16-mixed on a CPU, got 16-mixed, which needs a GPU",
        )
        try:
            from lightning_fabric import Fabric
            from lightning_fabric.strategies.ddp import DDPStrategy
        except ImportError:
            raise InputError(
                "devices and precision: expected the package lightning-fabric, which is not "
                "installed; pip install 'metaloss[fabric]'"
            ) from None
        strategy = (
            DDPStrategy(timeout=timedelta(seconds=self.timeout)) if self._number > 1 else "auto"
        )
        try:
            return Fabric(
                accelerator=self.accelerator,
                devices=self.devices,
                num_nodes=_machines(),
                strategy=strategy,
                precision=self.precision,  # type: ignore[arg-type] # it is one of the names
            )
        except Exception as error:
            said = " ".join(str(error).split())
            raise InputError(
                f"expected {self.devices} devices of kind {self.accelerator} for the precision "
                f"{self.precision}, but Fabric says: {said}"
            ) from error


def _machines() -> int:
    """Return the number of machines, as ``torchrun`` says it; one by default."""
    return int(os.environ.get("GROUP_WORLD_SIZE", "1"))


def launched_devices(environment: Mapping[str, str] = os.environ) -> int | None:
    """Return how many processes ``torchrun`` started on this machine; ``None`` if it did not.

    Example:
        >>> from metaloss.training.fabric_engine import launched_devices
        >>> launched_devices({"TORCHELASTIC_RUN_ID": "a", "LOCAL_WORLD_SIZE": "2"})
        2
    """
    if "TORCHELASTIC_RUN_ID" not in environment:
        return None
    return int(environment.get("LOCAL_WORLD_SIZE", 1))
