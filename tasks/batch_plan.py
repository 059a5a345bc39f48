"""The division of a set into batches, epoch by epoch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.checks import check_at_least, require
from metaloss.seeding import generator


def check_batch_size(name: str, size: int, num_samples: int) -> None:
    """Raise :class:`metaloss.InputError` unless ``size`` is from 1 to ``num_samples``.

    Example:
        >>> from metaloss.tasks.batch_plan import check_batch_size
        >>> check_batch_size("meta_batch_size", 100, num_samples=1000)
    """
    check_at_least(name, size, 1)
    require(
        size <= num_samples,
        f"{name}: expected at most the {num_samples} samples there are, got {size}",
    )


@dataclass(frozen=True)
class BatchPlan:
    """Divides a set into batches, as a pure function of the seed and the epoch's number.

    Attributes:
        num_samples: number of samples in the set.
        batch_size: samples in a batch, at most ``num_samples``.
        seed: the seed of the order.
        shuffle: whether each epoch has an order of its own; if not, all have the set's.
        drop_last: whether to drop a last batch that is not full.

    Raises:
        InputError: the batch is larger than the set.

    Example:
        >>> from metaloss.tasks.batch_plan import BatchPlan
        >>> plan = BatchPlan(5, 2, seed=0, shuffle=False, drop_last=False)
        >>> [batch.tolist() for batch in plan.cut(plan.order(0))]
        [[0, 1], [2, 3], [4]]
    """

    num_samples: int
    batch_size: int
    seed: int
    shuffle: bool
    drop_last: bool

    def __post_init__(self) -> None:
        """Check the sizes."""
        check_batch_size("batch_size", self.batch_size, self.num_samples)

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, left = divmod(self.num_samples, self.batch_size)
        return whole + (left > 0 and not self.drop_last)

    def order(self, number: int) -> Int[Tensor, " samples"]:
        """Return the positions of the samples in the order of an epoch.

        Args:
            number: the number of the epoch, counted from 0.
        """
        check_at_least("epoch", number, 0)
        if not self.shuffle:
            return torch.arange(self.num_samples)
        return torch.randperm(self.num_samples, generator=generator(self.seed, "order", number))

    def cut(self, order: Int[Tensor, " samples"]) -> tuple[Tensor, ...]:
        """Return the batches of an epoch, as views of its order.

        Args:
            order: a result of :meth:`order`, on any device.
        """
        return torch.split(order, self.batch_size)[: len(self)]
