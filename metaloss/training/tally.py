"""An epoch's figures, summed where the data is and read once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses import Hyperparameter
from metaloss.training.finite import Watch


class Tally:
    """Sums over an epoch's steps, without waiting for the device before the end.

    Args:
        hyperparameters: whose means to report.
        flipped: which training targets are wrong, addressed by a batch's index, if it is known:
            the means are then reported for right and wrong ones apart as well.
        kind: of the targets.
    """

    def __init__(
        self,
        hyperparameters: tuple[Hyperparameter, ...],
        flipped: Tensor | None = None,
        kind: Kind = CLASSIFICATION,
    ) -> None:
        self.kind = kind
        self.figures = ("train_loss", f"train_{kind.figure.name}")
        self.hyperparameters = tuple(h.name for h in hyperparameters)
        self.flipped = flipped
        self.samples = 0
        self.watch = Watch()
        self.sums: dict[tuple[str, ...], Tensor] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add a scalar to a figure that is the mean of them."""
        self._add((name,), value.detach()[None], torch.ones_like(value)[None])

    @torch.no_grad()
    def add_batch(
        self,
        losses: Tensor,
        hparams: Tensor,
        outputs: Tensor,
        targets: Tensor,
        index: Tensor | None,
    ) -> None:
        """Add one training batch.

        Args:
            losses: of each sample, ``[batch]``.
            hparams: of each sample, ``[batch, d']``.
            outputs: the network's.
            targets: that it was trained on.
            index: the samples' ids, if they are known.
        """
        self.samples += len(targets)
        scores = self.kind.score(outputs, targets).to(losses.dtype)
        every = torch.ones_like(losses)
        columns = torch.stack([losses, scores])
        if self.hyperparameters:
            columns = torch.cat([columns, hparams.to(losses.dtype).T])
        names, weights = self._names, every[None]
        if self.flipped is not None and index is not None:
            wrong = self.flipped[index].to(losses.dtype)
            names, weights = self._names_apart, torch.stack([every, 1 - wrong, wrong])
        counts = weights.sum(dim=1).repeat_interleave(len(columns))
        self._add(names, (weights @ columns.T).flatten(), counts)

    def means(self) -> dict[str, float]:
        """Each figure's mean; waits for the device once. A mean over nothing is left out."""
        if not self.sums:
            return {}
        names = [name for together in self.sums for name in together]
        sums, counts = torch.cat(list(self.sums.values()), dim=1).tolist()
        return {
            name: total / count
            for name, total, count in zip(names, sums, counts, strict=True)
            if count
        }

    def state_dict(self) -> dict[str, Any]:
        """What has been summed up so far."""
        return {"samples": self.samples, "sums": self.sums, "watch": self.watch.state_dict()}

    def load_state_dict(self, saved: Mapping[str, Any], device: torch.device) -> None:
        """Go on from what :meth:`state_dict` gave, with the sums on ``device``."""
        self.samples = saved["samples"]
        self.sums = {names: pair.to(device) for names, pair in saved["sums"].items()}
        self.watch.load_state_dict(saved["watch"], device)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return (*self.figures, *(f"{name}_mean" for name in self.hyperparameters))

    @cached_property
    def _names_apart(self) -> tuple[str, ...]:
        columns = (*self.figures, *self.hyperparameters)
        apart = (f"{name}_{group}" for group in ("clean", "flipped") for name in columns)
        return (*self._names, *apart)

    def _add(self, names: tuple[str, ...], values: Tensor, counts: Tensor) -> None:
        pair = torch.stack([values, counts]).double()
        self.sums[names] = self.sums[names] + pair if names in self.sums else pair
