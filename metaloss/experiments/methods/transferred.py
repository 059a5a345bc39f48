"""Hyperparameters of an adjuster that was learned elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaloss.experiments.methods.method import Method
from metaloss.objective import AdjustedLoss
from metaloss.pretrained import from_pretrained
from metaloss.pretrained.by_name import folder_of
from metaloss.pretrained.card import fingerprint
from metaloss.types import TaskLike


@dataclass(frozen=True, kw_only=True)
class Transferred(Method):
    """Hyperparameters predicted by a frozen adjuster that was learned elsewhere (Algorithm 2).

    Its snapshots are switched as training progresses, whatever the length of the run. It needs no
    clean samples.

    Args:
        name: the name in tables and folders.
        adjuster: the folder of a saved adjuster, or the name of a pretrained one.
        components: your own classes that its card names.
        strength: the factor by which its distance from the loss's defaults is scaled, as for
            :func:`~metaloss.from_pretrained`.

    Example:
        >>> from metaloss.experiments import Transferred
        >>> Transferred(name="T-GCE", adjuster="runs/demo/A-GCE/seed-0/adjuster").learns
        False
    """

    adjuster: str | Path
    components: Sequence[type] = ()
    strength: float = 1.0

    @property
    def provenance(self) -> dict[str, Any]:
        """A hash of the adjuster, and the strength if it is not 1."""
        which = {"adjuster": fingerprint(folder_of(self.adjuster))}
        return which if self.strength == 1 else {**which, "strength": self.strength}

    def criterion(self, task: TaskLike) -> AdjustedLoss:  # noqa: ARG002 - the same for each
        """Return the loss with the frozen adjuster."""
        return from_pretrained(self.adjuster, components=self.components, strength=self.strength)
