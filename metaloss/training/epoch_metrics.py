"""Means over an epoch, summed on the device and read once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses import Hyperparameter


class EpochMetrics:
    """Accumulates the means of an epoch, without waiting for the device before :meth:`means`.

    Args:
        hyperparameters: the hyperparameters whose means are reported.
        flipped: whether each training target is wrong, ``[samples]``, indexed by a batch's
            ``index``. If given, means are also reported for right and wrong targets apart.
        kind: the kind of the targets.
    """

    def __init__(
        self,
        hyperparameters: tuple[Hyperparameter, ...],
        flipped: Tensor | None = None,
        kind: Kind = CLASSIFICATION,
    ) -> None:
        self.kind = kind
        self._measures = ("train_loss", f"train_{kind.metric.name}")
        self.hyperparameters = tuple(h.name for h in hyperparameters)
        self.flipped = flipped
        self.samples = 0
        self.sums: dict[tuple[str, ...], Tensor] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add a scalar to the mean called ``name``."""
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
            losses: the loss of each sample, ``[batch]``.
            hparams: the hyperparameters of each sample, ``[batch, d']``.
            outputs: the network's outputs.
            targets: the targets trained on.
            index: the samples' ids, ``[batch]``, or ``None`` if they are not known.
        """
        self.samples += len(targets)
        scores = self.kind.score(outputs, targets).to(losses.dtype)
        every = torch.ones_like(losses)
        columns = torch.stack([losses, scores])
        if self.hyperparameters:
            columns = torch.cat([columns, hparams.to(losses.dtype).T])
        names, weights = self._mean_names, every[None]
        if self.flipped is not None and index is not None:
            wrong = self.flipped[index].to(losses.dtype)
            names, weights = self._group_names, torch.stack([every, 1 - wrong, wrong])
        counts = weights.sum(dim=1).repeat_interleave(len(columns))
        self._add(names, (weights @ columns.T).flatten(), counts)

    def means(self) -> dict[str, float]:
        """Return the means by name; waits for the device once. Means of no values are left out."""
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
        """Return the sums so far."""
        return {"samples": self.samples, "sums": self.sums}

    def load_state_dict(self, saved: Mapping[str, Any], device: torch.device) -> None:
        """Restore what :meth:`state_dict` returned, with the sums on ``device``."""
        self.samples = saved["samples"]
        self.sums = {names: pair.to(device) for names, pair in saved["sums"].items()}

    @cached_property
    def _mean_names(self) -> tuple[str, ...]:
        return (*self._measures, *(f"{name}_mean" for name in self.hyperparameters))

    @cached_property
    def _group_names(self) -> tuple[str, ...]:
        columns = (*self._measures, *self.hyperparameters)
        apart = (f"{name}_{group}" for group in ("clean", "flipped") for name in columns)
        return (*self._mean_names, *apart)

    def _add(self, names: tuple[str, ...], values: Tensor, counts: Tensor) -> None:
        pair = torch.stack([values, counts]).double()
        self.sums[names] = self.sums[names] + pair if names in self.sums else pair
