"""Checks of an epoch's steps, some of which wait until it has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from metaloss.bilevel import Solution
from metaloss.checks import InputError
from metaloss.training.non_finite import NonFiniteGuard, Skipped


class EpochChecks:
    """Whether the steps of an epoch were finite, and its hypergradients consistent.

    Args:
        meta_steps: counts the hypergradients that are not finite; a new count if not given.

    Attributes:
        skipped: the ordinary steps that were skipped, if any.
    """

    def __init__(self, meta_steps: NonFiniteGuard | None = None) -> None:
        self.skipped: Skipped | None = None
        self._meta_steps = meta_steps or NonFiniteGuard()
        self._unread = NonFiniteGuard()
        self._unchecked: Solution | None = None

    def hypergradient(self, solution: Solution, step: int, *, now: bool) -> Tensor:
        """Check the hypergradient of a meta step.

        Args:
            solution: the hypergradient.
            step: the number of the meta step.
            now: whether to check at once, which waits for the device, that the passes of the
                solution agree; otherwise :meth:`check_unread` does after the epoch.

        Returns:
            Whether every value is finite: a boolean scalar on the device.

        Raises:
            InputError: with ``now``, a real step did not follow the optimizer's rule, or passes
                through the network that should agree disagree.
        """
        if now:
            solution.check_consistent()
        else:
            self._unchecked = solution.with_checks_of(self._unchecked)
        return self._meta_steps.check(solution.hypergradient, step)

    def read_later(self, loss: Tensor, gradient: Tensor, step: int) -> None:
        """Keep whether an ordinary step was finite, for :meth:`check_unread` to say.

        Args:
            loss: the loss, a scalar.
            gradient: a scalar that is not finite if a gradient is not.
            step: the number of the step.
        """
        self._unread.check({"the training loss": loss, "a gradient": gradient.to(loss)}, step)

    def skip_step(self, step: int, tensor: str) -> None:
        """Count an ordinary step of the run that was skipped.

        The tensor is what was not finite: ``"loss"``, or the parameter of a gradient.
        """
        first = self.skipped or Skipped(0, step, tensor)
        self.skipped = first._replace(number=first.number + 1)

    def check_unread(self) -> None:
        """Raise an error if a step should not have been taken, and nobody looked.

        For ``max_skipped`` 0; waits for the device.

        Raises:
            InputError: a step or a hypergradient was not finite, or the passes of a hypergradient
                disagree.
        """
        if self._unchecked is not None:
            self._unchecked.check_consistent()
        looks = "Recipe(max_skipped=2) or more skips such steps"
        found, of_meta = self._unread.skipped(), self._meta_steps.skipped()
        if found is not None:
            raise InputError(
                f"step {found.step}: {found.tensor} is not finite; check the inputs, or lower the "
                f"learning rate; {looks}"
            )
        if of_meta is not None:
            raise InputError(
                f"meta step {of_meta.step}: the hypergradient of {of_meta.tensor} is not finite; "
                f"check the meta samples and the meta loss, or lower the learning rates; {looks}"
            )

    def check_in_a_row(self, most: int) -> None:
        """Raise InputError if so many meta steps in a row were skipped; waits for the device."""
        self._meta_steps.check_in_a_row(most)

    def record(self) -> dict[str, dict[str, Any]]:
        """Return which steps were skipped, for the epoch's record; waits for the device."""
        of_meta = self._meta_steps.skipped()
        found = {"skipped_steps": self.skipped, "meta_steps_skipped": of_meta}
        return {name: each._asdict() for name, each in found.items() if each is not None}

    def next_epoch(self) -> EpochChecks:
        """Return the checks of the next epoch, which go on with the meta steps in a row."""
        return EpochChecks(self._meta_steps.next_epoch())

    def state_dict(self) -> dict[str, Any]:
        """Return the counts so far. :meth:`check_unread` comes before a checkpoint."""
        return {
            "guard": self._meta_steps.state_dict(),
            "unread": self._unread.state_dict(),
            "skipped": None if self.skipped is None else tuple(self.skipped),
        }

    def load_state_dict(self, saved: Mapping[str, Any], device: torch.device) -> None:
        """Restore what :meth:`state_dict` returned, with the counts on ``device``."""
        self._meta_steps.load_state_dict(saved["guard"], device)
        if "unread" in saved:  # not in a checkpoint of an earlier version
            self._unread.load_state_dict(saved["unread"], device)
        skipped = saved["skipped"]
        self.skipped = None if skipped is None else Skipped(*skipped)
