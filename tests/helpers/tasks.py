"""Small tasks in memory, for tests of training."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from metaloss.tasks import BatchLoader
from metaloss.types import Loader


@dataclass
class Blobs:
    """Gaussian blobs with some wrong training labels; a ``metaloss.types.TaskLike``."""

    train: Loader
    meta: Loader | None
    test: Loader
    train_targets: Tensor
    flipped: Tensor | None
    validation: Loader | None = None
    name: str = "blobs"
    num_classes: int = 3


def blobs(
    seed: int = 0,
    device: torch.device | str = "cpu",
    *,
    samples: int = 60,
    meta: bool = True,
    validation: bool = False,
    dtype: torch.dtype = torch.float32,
    batch_size: int = 10,
) -> Blobs:
    """Make a task of three blobs in five dimensions, with 40% of the training labels wrong."""
    draw = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(3, 5, generator=draw, dtype=dtype)

    def some(count: int) -> tuple[Tensor, Tensor]:
        targets = torch.arange(count) % 3
        return centres[targets] + torch.randn(count, 5, generator=draw, dtype=dtype), targets

    inputs, clean = some(samples)
    flipped = torch.rand(samples, generator=draw) < 0.4
    targets = torch.where(flipped, (clean + 1) % 3, clean)

    def evaluated() -> Loader:
        return BatchLoader(*some(30), 30, shuffle=False, drop_last=False, device=device)

    return Blobs(
        train=BatchLoader(inputs, targets, batch_size, seed=seed, device=device),
        meta=BatchLoader(*some(12), 6, seed=seed + 1, device=device) if meta else None,
        test=evaluated(),
        train_targets=targets,
        flipped=flipped,
        validation=evaluated() if validation else None,
    )
