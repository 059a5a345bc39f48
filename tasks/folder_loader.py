"""Batches of image files, read in this process or by workers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Int
from torch import Tensor

from metaloss.digest import digest
from metaloss.processes import equal_part
from metaloss.seeding import derive
from metaloss.types import Batch

from .batch_plan import BatchPlan
from .file_reader import FileReader, Wanted
from .folder_set import FolderSet


@dataclass(eq=False, repr=False)
class FolderLoader:
    """A :class:`metaloss.types.Loader` over image files.

    The augmentation of each sample in each epoch has a random stream of its own. An epoch is
    therefore the same for any number of workers, and the global generators do not change. Workers
    are started in the first epoch, and stay for the next ones.

    Attributes:
        data: the image files.
        batch_size: samples in a batch, at most the number of samples.
        seed: the seed of the order and the augmentation.
        augment: whether to use the set's training transform; if not, its evaluation transform.
        shuffle: whether each epoch has an order of its own.
        drop_last: whether to drop a last batch that is not full.
        device: the device of the batches.
        own: which part of each batch is read, and how many equal parts there are.

    Raises:
        InputError: the batch is larger than the set. While an epoch is read: a file cannot be read,
            a transform fails or returns a shape other than ``data.sample_shape``, a worker dies, or
            takes longer than ``data.timeout``. An error in a worker comes without its traceback;
            ``workers=0`` shows it.

    Example:
        >>> from metaloss.tasks import FolderLoader, image_files
        >>> loader = FolderLoader(image_files("data/pets").train, batch_size=32)  # doctest: +SKIP
    """

    data: FolderSet
    batch_size: int
    _: KW_ONLY
    seed: int = 0
    augment: bool = True
    shuffle: bool = True
    drop_last: bool = True
    device: torch.device | str = "cpu"
    own: tuple[int, int] = (0, 1)

    def __post_init__(self) -> None:
        """Check the batch size and copy the targets to the device."""
        pin = torch.device(self.device).type == "cuda"
        self._reader = FileReader(self.data, pin_memory=pin)
        self._plan = BatchPlan(
            len(self.data), self.batch_size, self.seed, self.shuffle, self.drop_last
        )
        self._targets = self.data.targets.to(self.device)

    @property
    def num_samples(self) -> int:
        """Return the number of samples in the set."""
        return self._plan.num_samples

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._plan)

    @cached_property
    def fingerprint(self) -> str:
        """A digest of the files' names, sizes and labels; no image is read."""
        paths = [Path(file) for file in self.data.files]
        files = [f"{path.parent.name}/{path.name} {path.stat().st_size}" for path in paths]
        return digest("\n".join(files), self._targets)

    def again(self, seed: int, targets: Int[Tensor, " samples"] | None = None) -> FolderLoader:
        """Return a loader over the same files.

        Args:
            seed: the seed of its order and its augmentation.
            targets: other labels, ``[samples]``, int64; by default, the same ones.

        Raises:
            InputError: files and labels differ in number.
        """
        data = self.data if targets is None else self.data.with_targets(targets)
        return replace(self, seed=seed, data=data)

    def select(self, index: Int[Tensor, " chosen"]) -> FolderLoader:
        """Return a loader over some of the files, in the order given.

        Args:
            index: their positions, int64. Their number is the largest batch.
        """
        size = min(self.batch_size, len(index))
        return replace(self, data=self.data.subset(index.cpu()), batch_size=size)

    def part(self, rank: int, number: int) -> FolderLoader:
        """Return a loader that reads one of several equal parts of each batch.

        Args:
            rank: which part, from 0.
            number: how many parts there are.
        """
        return replace(self, own=(rank, number))

    def in_order(self) -> FolderLoader:
        """Return an evaluation loader: every sample once, in order and without augmentation."""
        return replace(self, augment=False, shuffle=False, drop_last=False)

    def _own(self, batch: Tensor) -> Tensor:
        return batch if self.own == (0, 1) else batch[equal_part(len(batch), *self.own)]

    def epoch(self, number: int) -> Iterator[Batch]:
        """Return the batches of epoch ``number``, counted from 0."""
        return self._batches(number, self._plan.order(number))

    def _batches(self, number: int, order: Tensor) -> Iterator[Batch]:
        device = torch.device(self.device)
        seed = derive(self.seed, "augment", number) if self.augment else None
        wanted = [
            [Wanted(position, seed) for position in self._own(batch).tolist()]
            for batch in self._plan.cut(order)
        ]
        indices = map(self._own, self._plan.cut(order.to(device)))
        read = self._reader.read(wanted)
        for inputs, index in zip(read, indices, strict=True):
            yield Batch(inputs.to(device, non_blocking=True), self._targets[index], index)
