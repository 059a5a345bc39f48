"""Hyperparameters of an adjuster that was learned elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from metaloss.arguments import checked
from metaloss.checks import require
from metaloss.experiments.methods.conventional import baselines
from metaloss.experiments.methods.method import Method
from metaloss.files import user_path
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


def transferred(
    *,
    adjusters: Sequence[str],
    compare: bool = False,
    strength: float = 1.0,
    components: Sequence[type] = (),
) -> list[Method]:
    """Return a method for each learned adjuster: what ``metaloss transfer`` runs.

    Args:
        adjusters: the names or folders of one or more adjusters.
        compare: also return cross entropy, and each loss with its default hyperparameters.
        strength: the factor by which their distance from the defaults is scaled, as for
            :func:`~metaloss.from_pretrained`.
        components: your own classes that their cards name.

    Raises:
        InputError: An argument has the wrong type, there is no adjuster, or one cannot be loaded.

    Example:
        >>> from metaloss.experiments import transferred
        >>> [method.name for method in transferred(adjusters=["gce-cifar10-context"], compare=True)]
        ['CE', 'GCE', 'T-gce-cifar10-context']
    """
    checked("adjusters", adjusters, Sequence[str])
    checked("compare", compare, bool)
    checked("components", components, Sequence[type])
    require(len(adjusters) > 0, "adjusters: expected one or more, got none")
    require(
        len(set(adjusters)) == len(adjusters),
        f"adjusters: expected different ones, got {', '.join(adjusters)}",
    )
    # Load all of them first, so that an error comes before any run.
    losses = [
        from_pretrained(adjuster, components=components, strength=strength).loss
        for adjuster in adjusters
    ]
    rows = [
        Transferred(
            name=f"T-{_label(adjuster, adjusters)}",
            adjuster=adjuster,
            components=components,
            strength=strength,
        )
        for adjuster in adjusters
    ]
    return [*(baselines(losses) if compare else ()), *rows]


def _label(adjuster: str, others: Sequence[str]) -> str:
    """Return a name as it is, and a folder as the shortest end of its path that is unique."""
    if not user_path(adjuster).is_dir():
        return adjuster

    def last(folder: str, count: int) -> tuple[str, ...]:
        return tuple(part for part in user_path(folder).resolve().parts if part != "adjuster")[
            -count:
        ]

    count = 2  # RUN/METHOD/seed-0/adjuster is named after its method
    while sum(last(other, count) == last(adjuster, count) for other in others) > 1 and count < 9:
        count += 1
    return "-".join(last(adjuster, count))
