"""Batches of a set held in memory, or in a memory-mapped file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from metaloss.checks import require
from metaloss.digest import digest
from metaloss.seeding import generator
from metaloss.types import Batch

from .batch_plan import BatchPlan
from .mapped import MappedSamples
from .transforms import Transform


@dataclass(eq=False, repr=False)
class BatchLoader:
    """A :class:`metaloss.types.Loader` over tensors that stay on one device.

    The order and the augmentation of an epoch depend on the seed and the epoch's number alone. The
    order is copied to the device once an epoch; a batch is then one gather there. Inputs in a
    memory-mapped file stay there, and each batch is read and copied to the device. A batch's
    ``index`` is the position of each sample in this set, from 0 to ``num_samples - 1``.

    Attributes:
        inputs: inputs before the transform, ``[samples, ...]``, uint8 images or floating point, in
            memory or in a memory-mapped file.
        targets: labels, ``[samples]``, int64, or values, ``[samples, values]``.
        batch_size: samples in a batch, at most the number of samples.
        seed: the seed of the order and the augmentation.
        transform: maps a batch of inputs to the model's inputs; required for uint8 images.
        eval_transform: the transform without randomness that :meth:`in_order` uses; by default,
            ``transform``.
        shuffle: whether each epoch has an order of its own. If not, batches are in the set's order
            and ``transform`` gets no generator, as in evaluation.
        drop_last: whether to drop a last batch that is not full. Training drops it, so that every
            step has as many samples; evaluation needs every sample.
        device: the device of the data and the batches.

    Raises:
        InputError: the batch is larger than the set, inputs and targets differ in number, or uint8
            inputs come without a transform.

    Example:
        >>> import torch
        >>> from metaloss.tasks import BatchLoader
        >>> loader = BatchLoader(torch.rand(10, 2), torch.arange(10) % 2, batch_size=4)
        >>> len(loader), [len(batch.targets) for batch in loader.epoch(0)]
        (2, [4, 4])
    """

    inputs: Tensor | MappedSamples
    targets: Shaped[Tensor, "samples ..."]
    batch_size: int
    _: KW_ONLY
    seed: int = 0
    transform: Transform | None = None
    eval_transform: Transform | None = None
    shuffle: bool = True
    drop_last: bool = True
    device: torch.device | str = "cpu"

    def __post_init__(self) -> None:
        """Check the arguments and copy the tensors to the device."""
        require(
            len(self.inputs) == len(self.targets),
            f"inputs and targets: expected one length, got {len(self.inputs)} and "
            f"{len(self.targets)}",
        )
        require(
            self.transform is not None or self.inputs.is_floating_point(),
            f"transform: expected one for {self.inputs.dtype} inputs, got None",
        )
        self._plan = BatchPlan(
            len(self.targets), self.batch_size, self.seed, self.shuffle, self.drop_last
        )
        if isinstance(self.inputs, Tensor):
            self.inputs = self.inputs.to(self.device)
        self.targets = self.targets.to(self.device)
        self.eval_transform = self.eval_transform or self.transform

    @property
    def num_samples(self) -> int:
        """Return the number of samples in the set."""
        return self._plan.num_samples

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._plan)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the inputs, before the transform, and of their targets.

        Of inputs in a file, some are read.
        """
        inputs = self.inputs
        return digest(inputs if isinstance(inputs, Tensor) else inputs.fingerprint, self.targets)

    def again(self, seed: int, targets: Shaped[Tensor, "samples ..."] | None = None) -> BatchLoader:
        """Return a loader over the same samples, which are not copied.

        Args:
            seed: the seed of its order and its augmentation.
            targets: other targets; by default, the same ones.

        Raises:
            InputError: inputs and targets differ in number.
        """
        return replace(self, seed=seed, targets=self.targets if targets is None else targets)

    def select(self, index: Int[Tensor, " chosen"]) -> BatchLoader:
        """Return a loader over some of the samples, in the order given; those in memory are copied.

        Args:
            index: their positions, int64. Their number is the largest batch.
        """
        index, inputs = index.to(self.targets.device), self.inputs
        return replace(
            self,
            inputs=inputs[index] if isinstance(inputs, Tensor) else inputs.take(index),
            targets=self.targets[index],
            batch_size=min(self.batch_size, len(index)),
        )

    def in_order(self) -> BatchLoader:
        """Return an evaluation loader: every sample once, in order and without augmentation."""
        return replace(self, transform=self.eval_transform, shuffle=False, drop_last=False)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of epoch ``number``, counted from 0."""
        return self._batches(number, self._plan.order(number))

    def _batches(self, number: int, order: Tensor) -> Iterator[Batch]:
        cuts = self._plan.cut(order), self._plan.cut(order.to(self.device))
        for step, (rows, index) in enumerate(zip(*cuts, strict=True)):
            if isinstance(self.inputs, Tensor):
                inputs = self.inputs.index_select(0, index)
            else:
                inputs = self.inputs[rows].to(self.device, non_blocking=True)
            if self.transform is not None:
                inputs = self.transform(inputs, self._generator(number, step))
            yield Batch(inputs, self.targets[index], index)

    def _generator(self, number: int, step: int) -> torch.Generator | None:
        if not self.shuffle:
            return None
        return generator(self.seed, "augment", number, step, device=self.device)
