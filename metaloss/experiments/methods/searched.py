"""Fixed hyperparameters that are searched on clean samples (Section 4.1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import cast

from metaloss.checks import require
from metaloss.experiments.methods.conventional import Conventional
from metaloss.experiments.methods.staged import Conclusion, PreliminaryRun, Staged
from metaloss.experiments.records.names import check_names, slug
from metaloss.losses import LossFamily
from metaloss.objective import AdjustedLoss
from metaloss.training.evaluate import evaluate
from metaloss.training.streams import in_order
from metaloss.types import Loader, TaskLike, has_checked_meta


@dataclass(frozen=True, kw_only=True)
class Searched(Staged):
    """One value of each hyperparameter for all samples, chosen by accuracy on clean samples.

    One run is made for each combination of the candidates. The result is that of the run whose
    network is the most accurate on the task's meta samples; of equals, the first.

    Args:
        name: the name in tables and folders.
        loss: the loss family.
        grid: the candidates of hyperparameters, by name; the rest have their defaults.

    Raises:
        InputError: no candidates, or one twice; a hyperparameter that the loss does not have, or a
            value out of its range; and for a task without clean samples.

    Example:
        >>> from metaloss.experiments import Searched
        >>> from metaloss.losses import GCE
        >>> method = Searched(name="GCE", loss=GCE(), grid={"q": (0.3, 0.7)})
        >>> [run.name for run in method.preliminary]
        ['q=0.3', 'q=0.7']

    References:
        Section 4.1: "The meta data in these methods are used as validation set [...] to search the
        best hyperparameters".
    """

    loss: LossFamily
    grid: Mapping[str, Sequence[float]]

    def __post_init__(self) -> None:
        """Check the grid."""
        super().__post_init__()
        require(
            len(self.grid) > 0 and all(len(values) > 0 for values in self.grid.values()),
            f"grid: expected candidates for one hyperparameter or more, got {dict(self.grid)}",
        )
        check_names("grid", [method.name for method in self.preliminary])
        for method in self.preliminary:
            AdjustedLoss.fixed(self.loss, method.values)

    @property
    def num_trainings(self) -> int:
        """The number of networks trained for one run, one for each combination."""
        return len(self.preliminary)

    @property
    def preliminary(self) -> Sequence[Conventional]:
        """A run with each combination of the candidates, the last hyperparameter fastest."""
        combinations = [
            dict(zip(self.grid, values, strict=True)) for values in product(*self.grid.values())
        ]
        return [
            Conventional(name=name, loss=self.loss, values=values)
            for name, values in zip(_names(combinations), combinations, strict=True)
        ]

    def check(self, task: TaskLike) -> None:
        """Raise :class:`~metaloss.InputError` if the task has no clean samples."""
        require(
            task.meta is not None and has_checked_meta(task),
            f"{self.name}: expected a task with clean samples to choose hyperparameters by, got "
            f"{'none' if task.meta is None else 'samples that nobody checked'} in {task.name}",
        )

    def conclude(self, task: TaskLike, runs: Sequence[PreliminaryRun]) -> Conclusion:
        """Return the run that is best on the clean samples."""
        self.check(task)
        clean = in_order(cast(Loader, task.meta))
        metric = self.loss.kind.metric
        scores = [evaluate(run.model, clean, self.loss.kind).score for run in runs]
        search = [
            {"values": candidate.values, f"clean_{metric.name}": score}
            for candidate, score in zip(self.preliminary, scores, strict=True)
        ]
        best = scores.index(metric.best(scores))
        return Conclusion(runs[best].method, {"values": search[best]["values"], "search": search})


def _names(combinations: Sequence[Mapping[str, float]]) -> list[str]:
    """Return names that make different folders, with six digits and a sign where that suffices.

    A folder's name has no sign; so, if two are alike, signs are words and all digits are given.
    """
    names = [", ".join(f"{k}={v:g}" for k, v in values.items()) for values in combinations]
    if len(set(map(slug, names))) == len(names):
        return names
    return [
        ", ".join(f"{k}={'minus ' * (v < 0)}{abs(v)!r}" for k, v in values.items())
        for values in combinations
    ]
