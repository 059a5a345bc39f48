"""Features averaged over training, one memory a sample."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from metaloss.checks import require
from metaloss.conditioners.base import (
    Conditioner,
    check_decay,
    checked_index,
    remembered,
    tracked,
)
from metaloss.conditioners.wrapper import Wrapper
from metaloss.losses.numerics import default_precision
from metaloss.types import Outputs, Targets


class MovingAverage(Wrapper):
    r"""An exponential moving average of another conditioner's features for each sample.

    .. math:: \bar f_t = \rho \bar f_{t-1} + (1 - \rho) f_t

    Here :math:`f_t` is the current value and :math:`\bar f_{t-1}` the remembered average. A
    sample's first average is its first value. A single margin is noisy, and a wrong label that the
    network has just fitted has a large margin; its average is still small.

    ``forward`` reads the memory; only ``observe`` and ``track`` update it.

    Args:
        conditioner: computes the features to average.
        decay: :math:`\rho`, in [0, 1).

    Example:
        >>> import torch
        >>> from metaloss.conditioners import Margin, MovingAverage
        >>> conditioner = MovingAverage(Margin(), decay=0.5)
        >>> first, second = torch.tensor([[4.0, 0.0]]), torch.tensor([[0.0, 0.0]])
        >>> label, index = torch.tensor([0]), torch.tensor([0])
        >>> conditioner.prepare(targets=label, num_classes=2)
        >>> conditioner.observe(first, label, index)
        >>> conditioner(second, label, index)
        tensor([[2.]])
    """

    needs_index = True
    sized_by_data = ("memory", "seen")
    memory: Tensor
    seen: Tensor

    def __init__(self, conditioner: Conditioner, decay: float = 0.7) -> None:
        super().__init__(conditioner)
        self.decay = check_decay(decay)
        memory = torch.zeros(0, conditioner.num_features, dtype=default_precision())
        self.register_buffer("memory", memory)
        self.register_buffer("seen", torch.zeros(0, dtype=torch.bool))

    def prepare(self, targets: Targets, num_classes: int | None) -> None:
        """Allocate the memory, with no value for any sample."""
        super().prepare(targets, num_classes)
        self.memory = self.memory.new_zeros(len(targets), self.num_features)
        self.seen = self.seen.new_zeros(len(targets))

    def forward(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the averages as they will be after this batch is observed."""
        index = self._ids(index, targets)
        return self._averages(self.conditioner(outputs, targets, index), index)

    def observe(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> None:
        """Store the averages of this batch."""
        self.track(outputs, targets, index, kept)

    def track(
        self,
        outputs: Outputs,
        targets: Targets,
        index: Int[Tensor, " batch"] | None = None,
        kept: Bool[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch features"]:
        """Return the averages and store them."""
        index = self._ids(index, targets)
        current = tracked(self.conditioner, outputs, targets, index, kept)
        averages = self._averages(current, index)
        with torch.no_grad():
            latest = averages.to(self.memory.dtype)
            if kept is None:
                self.memory.index_copy_(0, index, latest)
                self.seen.index_fill_(0, index, True)
            else:
                # An ignored sample may have the id of one that is kept. So each of them writes what
                # the first kept one does; if there is none, that is what was there.
                first = kept.byte().argmax(keepdim=True)
                row = torch.where(kept, torch.arange(len(kept), device=kept.device), first)
                past, seen = self.memory[index], self.seen[index]
                written = latest.where(kept.unsqueeze(1), past)
                self.memory.index_copy_(0, index[row], written[row])
                self.seen.index_copy_(0, index[row], (seen | kept)[row])
        return averages

    def _ids(self, index: Int[Tensor, " batch"] | None, targets: Targets) -> Int[Tensor, " batch"]:
        require(
            len(self.seen) > 0,
            "MovingAverage: there is no memory yet; call prepare(targets, num_classes) with the "
            "training labels before training",
        )
        return checked_index(self, index, targets)

    def _averages(
        self, current: Float[Tensor, "batch features"], index: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch features"]:
        past = remembered(self.memory, index).to(current.dtype)
        seen = self.seen.index_select(0, index).unsqueeze(1)
        return torch.where(seen, torch.lerp(past, current, 1 - self.decay), current)
