"""How far training has come, counted in calls of the criterion."""

from __future__ import annotations

from metaloss.checks import check_at_least
from metaloss.users_code import warn


class StepCount:
    """The number of calls in training, of which there are a known number in all.

    Args:
        total: how many there are; ``None`` if nobody has said it.

    Raises:
        InputError: a total below 1.

    Example:
        >>> from metaloss.objective.progress import StepCount
        >>> steps = StepCount(4)
        >>> steps.add()
        >>> steps.fraction
        0.25
    """

    def __init__(self, total: int | None) -> None:
        self.total = None if total is None else check_at_least("total_steps", total, 1)
        self.done = 0
        self._warned = False

    @property
    def fraction(self) -> float:
        """The fraction of training that is done; 0 if the total is not known."""
        return self.fraction_after(0)

    def fraction_after(self, calls: int) -> float:
        """Return the fraction that will be done after so many further calls."""
        return 0.0 if self.total is None else min((self.done + calls) / self.total, 1.0)

    def set_fraction(self, fraction: float) -> None:
        """Set the count to this fraction of the total.

        Further calls after a fraction of 1 are meant, and give no warning.
        """
        self.done = 0 if self.total is None else round(fraction * self.total)
        self._warned = fraction == 1.0

    def add(self) -> None:
        """Count a call, and warn once of more than there were to be."""
        self.done += 1
        if self.total is not None and self.done > self.total and not self._warned:
            self._warned = True
            warn(
                f"this criterion was made for total_steps={self.total} calls in training, and this "
                "is one more: it stays as it is at the end of training. Count a call for each "
                "batch, total_steps=len(loader) * epochs"
            )


def warn_of_progress() -> None:
    """Warn that nobody says how far training has come."""
    warn(
        "this criterion changes as training proceeds, but it was given no total_steps, and "
        "criterion.progress(fraction) was never called: it stays as it is at one point of training "
        "(snapshots: the last one; the Progress feature: 0). Make it with "
        "total_steps=len(loader) * epochs; or call criterion.progress(step / total_steps) before "
        "each step or epoch, or criterion.progress(1.0) once if that is what you want"
    )
