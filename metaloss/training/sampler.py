"""The order in which tasks take their steps, where an adjuster learns from many."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from metaloss.arguments import check_arguments
from metaloss.checks import check_at_least, check_one_of, is_number, require
from metaloss.seeding import generator
from metaloss.training.engine import FULL, Engine

ORDERS = ("round-robin", "shuffled", "weighted")


@dataclass(frozen=True, kw_only=True)
class TaskSampler:
    """Chooses the task that takes the next step, until every task has taken all its steps.

    Args:
        order: ``"round-robin"``: in the order given; ``"shuffled"``: in a new random order each
            cycle; ``"weighted"``: drawn at random each time. Tasks that have taken all their steps
            are left out.
        block: the number of steps that a task takes before the next task's turn.
        tasks_per_step: the number of tasks that take a step together. The adjuster then takes a
            step along the mean of their hypergradients.
        weights: for ``order="weighted"``, the relative probability of each task by name; 1 by
            default.
        seed: the seed of the random order.
        spread: where several processes train together, let each take the steps of tasks of its own,
            with whole batches, instead of a part of every batch. It is useful with a
            ``tasks_per_step`` that the number of processes divides. Steps are in float32 then.

    Raises:
        InputError: The order is unknown, a number is below 1, or weights are not positive or given
            with another order.

    Example:
        >>> from metaloss.training import TaskSampler
        >>> list(TaskSampler(block=2).turns({"a": 3, "b": 2}))
        [('a',), ('a',), ('b',), ('b',), ('a',)]
        >>> list(TaskSampler(tasks_per_step=2).turns({"a": 1, "b": 2}))
        [('a', 'b'), ('b',)]
    """

    order: str = "round-robin"
    block: int = 1
    tasks_per_step: int = 1
    weights: Mapping[str, float] | None = None
    seed: int = 0
    spread: bool = False

    def __post_init__(self) -> None:
        """Check all of it."""
        check_arguments(self)
        check_one_of("order", self.order, ORDERS)
        check_at_least("block", self.block, 1)
        check_at_least("tasks_per_step", self.tasks_per_step, 1)
        require(
            not self.weights or self.order == "weighted",
            f"weights: expected none for the order {self.order!r}, got some",
        )
        for name, weight in (self.weights or {}).items():
            require(
                is_number(weight) and 0 < weight < float("inf"),
                f"weights: expected positive numbers, got {weight!r} for {name}",
            )

    def turns(self, steps: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
        """Yield the names of the tasks that take each next step; the same in every call.

        Args:
            steps: the number of steps of each task, by name.

        Raises:
            InputError: There is a weight for an unknown task.
        """
        for name in self.weights or {}:
            require(name in steps, f"weights: expected names of {', '.join(steps)}, got {name!r}")
        return self._turns(dict(steps))

    def check(self, names: Sequence[str], engine: Engine) -> None:
        """Check that this sampler suits the tasks of these names, trained on an engine.

        Raises:
            InputError: There is a weight for an unknown task, or tasks are spread and the engine
                has another precision than float32.
        """
        self.turns(dict.fromkeys(names, 1))
        require(
            not self.spread or engine.precision == FULL,
            f"spread: expected an engine of the precision {FULL}, since each process takes the "
            f"steps of its own tasks without it, got {engine.precision}",
        )

    def _turns(self, left: dict[str, int]) -> Iterator[tuple[str, ...]]:
        draws = generator(self.seed, "tasks")
        while any(left.values()):
            for group in self._cycle([name for name, n in left.items() if n], draws):
                for _ in range(self.block):
                    now = tuple(name for name in group if left[name])
                    for name in now:
                        left[name] -= 1
                    if now:
                        yield now

    def _cycle(self, names: Sequence[str], draws: torch.Generator) -> Iterator[Sequence[str]]:
        """Yield groups of the tasks left: each task once, or one group drawn at random."""
        order = list(range(len(names)))
        if self.order == "shuffled":
            order = torch.randperm(len(names), generator=draws).tolist()
        if self.order == "weighted":
            given = self.weights or {}
            # multinomial takes no tensor of whole numbers.
            weights = torch.tensor([float(given.get(name, 1)) for name in names])
            size = min(self.tasks_per_step, len(names))
            order = weights.multinomial(size, generator=draws).tolist()
        for begin in range(0, len(order), self.tasks_per_step):
            yield [names[i] for i in order[begin : begin + self.tasks_per_step]]
