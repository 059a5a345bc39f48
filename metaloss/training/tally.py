"""An epoch's figures, summed where the data is and read once."""

from __future__ import annotations

import torch
from torch import Tensor

from metaloss.losses import Hyperparameter


class Tally:
    """Sums over an epoch's steps, without waiting for the device before the end.

    Args:
        hyperparameters: whose means to report.
        flipped: which training labels are wrong, addressed by a batch's index, if it is known:
            the means are then reported for right and wrong labels apart.
    """

    def __init__(
        self, hyperparameters: tuple[Hyperparameter, ...], flipped: Tensor | None = None
    ) -> None:
        self.names = [h.name for h in hyperparameters]
        self.flipped = flipped
        self.samples = 0
        self.sums: dict[str, Tensor] = {}

    def add(self, name: str, value: Tensor | float, count: Tensor | float = 1.0) -> None:
        """Add ``value`` to a figure that is the mean over ``count`` things."""
        value = torch.as_tensor(value).detach().double()
        pair = torch.stack([value, torch.as_tensor(count, dtype=value.dtype, device=value.device)])
        self.sums[name] = self.sums[name] + pair if name in self.sums else pair

    def add_batch(
        self,
        losses: Tensor,
        hparams: Tensor,
        outputs: Tensor,
        targets: Tensor,
        index: Tensor | None,
    ) -> None:
        """Add one training batch."""
        count = len(targets)
        self.samples += count
        self.add("train_loss", losses.sum(), count)
        self.add("train_accuracy", 100 * (outputs.argmax(dim=1) == targets).sum(), count)
        wrong = None if self.flipped is None or index is None else self.flipped[index]
        for name, column in zip(self.names, hparams.detach().unbind(dim=1), strict=True):
            self.add(f"{name}_mean", column.sum(), count)
            if wrong is not None:
                self.add(f"{name}_flipped", (column * wrong).sum(), wrong.sum())
                self.add(f"{name}_clean", (column * ~wrong).sum(), (~wrong).sum())

    def means(self) -> dict[str, float]:
        """Each figure's mean; waits for the device once. A mean over nothing is left out."""
        if not self.sums:
            return {}
        pairs = torch.stack(list(self.sums.values())).tolist()
        return {
            name: total / count
            for name, (total, count) in zip(self.sums, pairs, strict=True)
            if count
        }
