"""Means over an epoch, summed on the device and read once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from metaloss.bilevel import Solution
from metaloss.kinds import CLASSIFICATION, Kind
from metaloss.losses import Hyperparameter
from metaloss.training.non_finite import NonFiniteGuard, Skipped


class EpochMetrics:
    """Accumulates the means of an epoch, without waiting for the device before :meth:`means`.

    Args:
        hyperparameters: the hyperparameters whose means are reported.
        flipped: whether each training target is wrong, ``[samples]``, indexed by a batch's
            ``index``. If given, means are also reported for right and wrong targets apart.
        kind: the kind of the targets.
        guard: counts the meta steps that are skipped; a new one if not given.

    Attributes:
        unread: the ordinary steps that were not finite, where none is looked at before.
        unchecked: what is to be checked of the epoch's hypergradients, where none is before.
    """

    def __init__(
        self,
        hyperparameters: tuple[Hyperparameter, ...],
        flipped: Tensor | None = None,
        kind: Kind = CLASSIFICATION,
        guard: NonFiniteGuard | None = None,
    ) -> None:
        self.kind = kind
        self._measures = ("train_loss", f"train_{kind.metric.name}")
        self.hyperparameters = tuple(h.name for h in hyperparameters)
        self.flipped = flipped
        self.samples = 0
        self.guard = guard or NonFiniteGuard()
        self.skipped: Skipped | None = None
        self.unread = NonFiniteGuard()
        self.unchecked: Solution | None = None
        self.sums: dict[tuple[str, ...], Tensor] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Add a scalar to the mean called ``name``."""
        self._add((name,), value.detach()[None], torch.ones_like(value)[None])

    def read_later(self, loss: Tensor, gradient: Tensor, step: int) -> None:
        """Keep whether an ordinary step was finite, for :attr:`unread` to say after the epoch.

        Args:
            loss: the loss, a scalar.
            gradient: a scalar that is not finite if a gradient is not.
            step: the number of the step.
        """
        self.unread.check({"the training loss": loss, "a gradient": gradient.to(loss)}, step)

    def check_later(self, solution: Solution) -> None:
        """Keep what :attr:`unchecked` needs to check hypergradients after the epoch."""
        self.unchecked = solution.with_checks_of(self.unchecked)

    def skip_step(self, step: int, tensor: str) -> None:
        """Count an ordinary step of the run that was skipped.

        The tensor is what was not finite: ``"loss"``, or the parameter of a gradient.
        """
        first = self.skipped or Skipped(0, step, tensor)
        self.skipped = first._replace(number=first.number + 1)

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
        """Return the sums so far, which have been checked."""
        return {
            "samples": self.samples,
            "sums": self.sums,
            "guard": self.guard.state_dict(),
            "unread": self.unread.state_dict(),
            "skipped": None if self.skipped is None else tuple(self.skipped),
        }

    def load_state_dict(self, saved: Mapping[str, Any], device: torch.device) -> None:
        """Restore what :meth:`state_dict` returned, with the sums on ``device``."""
        self.samples = saved["samples"]
        self.sums = {names: pair.to(device) for names, pair in saved["sums"].items()}
        self.guard.load_state_dict(saved["guard"], device)
        if "unread" in saved:  # not in a checkpoint of an earlier version
            self.unread.load_state_dict(saved["unread"], device)
        skipped = saved["skipped"]
        self.skipped = None if skipped is None else Skipped(*skipped)

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
