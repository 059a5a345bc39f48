"""Batches of a set held in memory, as a pure function of the epoch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import torch
from jaxtyping import Shaped
from torch import Tensor

from metaloss.checks import require
from metaloss.digest import digest
from metaloss.seeding import generator
from metaloss.types import Batch

from .batch_plan import BatchPlan
from .transforms import Transform


class BatchLoader:
    """A :class:`metaloss.types.Loader` over tensors that stay on one device.

    The order of an epoch and its augmentation depend on the seed and the epoch's number alone. The
    order goes to the device once an epoch; a batch is then one gather there. A batch's ``index`` is
    the samples' positions in this set, ``0 .. samples - 1``.

    Args:
        inputs: ``[samples, ...]``, uint8 images or floating point.
        targets: labels, ``[samples]``, int64, or values, ``[samples, values]``.
        batch_size: samples in a batch, not more than there are.
        seed: of the order and the augmentation.
        transform: from a batch of inputs to what a model takes; needed for uint8 images.
        eval_transform: the same without randomness, for :meth:`in_order`; ``transform`` if not
            given.
        shuffle: whether each epoch has an order of its own. Without it, batches are in the set's
            order and ``transform`` gets no generator: for evaluation.
        drop_last: leave out a last batch that is not full, as is usual in training, so that every
            step sees as many samples; off for evaluation, where every sample counts.
        device: where the data is held and the batches are made.

    Raises:
        InputError: the batch is larger than the data, there is not one label for each input, or
            uint8 inputs come without a transform.

    Example:
        >>> import torch
        >>> from metaloss.tasks import BatchLoader
        >>> loader = BatchLoader(torch.rand(10, 2), torch.arange(10) % 2, batch_size=4)
        >>> len(loader), [len(batch.targets) for batch in loader.epoch(0)]
        (2, [4, 4])
    """

    def __init__(
        self,
        inputs: Tensor,
        targets: Shaped[Tensor, "samples ..."],
        batch_size: int,
        *,
        seed: int = 0,
        transform: Transform | None = None,
        eval_transform: Transform | None = None,
        shuffle: bool = True,
        drop_last: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
        require(
            len(inputs) == len(targets),
            f"inputs and targets: expected one length, got {len(inputs)} and {len(targets)}",
        )
        require(
            transform is not None or inputs.is_floating_point(),
            f"transform: expected one for {inputs.dtype} inputs, got None",
        )
        self._plan = BatchPlan(len(targets), batch_size, seed, shuffle, drop_last)
        self._device = torch.device(device)
        self._inputs = inputs.to(self._device)
        self._targets = targets.to(self._device)
        self._transform = transform
        self._eval_transform = eval_transform or transform

    @property
    def num_samples(self) -> int:
        """Samples in the set."""
        return self._plan.num_samples

    def __len__(self) -> int:
        """Batches in an epoch."""
        return len(self._plan)

    @property
    def inputs(self) -> Tensor:
        """All inputs, before the transform, ``[samples, ...]``."""
        return self._inputs

    @cached_property
    def fingerprint(self) -> str:
        """A digest of all inputs, before the transform, and of their targets."""
        return digest(self._inputs, self._targets)

    def again(self, seed: int, targets: Shaped[Tensor, "samples ..."] | None = None) -> BatchLoader:
        """A loader over the same samples, which are not copied.

        Args:
            seed: of its order and its augmentation.
            targets: others, likewise.

        Raises:
            InputError: there is not one label for each input.
        """
        plan = self._plan
        return BatchLoader(
            self._inputs,
            self._targets if targets is None else targets,
            plan.batch_size,
            seed=seed,
            transform=self._transform,
            eval_transform=self._eval_transform,
            shuffle=plan.shuffle,
            drop_last=plan.drop_last,
            device=self._device,
        )

    def in_order(self) -> BatchLoader:
        """The same samples, each once and in their order, as they are evaluated on."""
        return BatchLoader(
            self._inputs,
            self._targets,
            self._plan.batch_size,
            transform=self._eval_transform,
            shuffle=False,
            drop_last=False,
            device=self._device,
        )

    def epoch(self, number: int) -> Iterator[Batch]:
        """The batches of epoch ``number``, counted from 0."""
        return self._epoch(number, self._plan.order(number))

    def _epoch(self, number: int, order: Tensor) -> Iterator[Batch]:
        for step, index in enumerate(self._plan.cut(order.to(self._device))):
            inputs = self._inputs.index_select(0, index)
            if self._transform is not None:
                inputs = self._transform(inputs, self._generator(number, step))
            yield Batch(inputs, self._targets[index], index)

    def _generator(self, number: int, step: int) -> torch.Generator | None:
        if not self._plan.shuffle:
            return None
        return generator(self._plan.seed, "augment", number, step, device=self._device)
