"""Whose turn it is, where an adjuster learns from many tasks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from metaloss.arguments import check_arguments
from metaloss.checks import check_at_least, is_number, require
from metaloss.seeding import generator

ORDERS = ("round-robin", "shuffled", "weighted")


@dataclass(frozen=True, kw_only=True)
class TaskSampler:
    """Whose turn it is to take a step, until every task has taken all of its own.

    Args:
        order: ``"round-robin"``, in the order given; ``"shuffled"``, each cycle in an order of its
            own; ``"weighted"``, drawn at random each time. A task that has taken all its steps
            has no more turns.
        block: steps that a task takes before the next one has its turn.
        tasks_per_step: tasks that take their turn at a time; the adjuster then takes a step along
            the mean of their hypergradients.
        weights: by a task's name, where ``order`` is ``"weighted"``: how likely it is drawn,
            compared with others; 1 if not given.
        seed: of the draws.

    Raises:
        InputError: an unknown order, a number below 1, or weights that are not positive or not
            asked for.

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

    def __post_init__(self) -> None:
        """Check all of it."""
        check_arguments(self)
        require(
            self.order in ORDERS, f"order: expected one of {', '.join(ORDERS)}, got {self.order!r}"
        )
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
        """The names of those that take the next step, turn by turn; the same each time.

        Args:
            steps: how many each task has to take, by its name.

        Raises:
            InputError: a weight for a task that is not there.
        """
        for name in self.weights or {}:
            require(name in steps, f"weights: expected names of {', '.join(steps)}, got {name!r}")
        return self._turns(dict(steps))

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
        """Groups of those that are not done: all of them once, or one group drawn."""
        order = list(range(len(names)))
        if self.order == "shuffled":
            order = torch.randperm(len(names), generator=draws).tolist()
        if self.order == "weighted":
            given = self.weights or {}
            # Whole numbers would make a tensor of them, from which nothing can be drawn.
            weights = torch.tensor([float(given.get(name, 1)) for name in names])
            size = min(self.tasks_per_step, len(names))
            order = weights.multinomial(size, generator=draws).tolist()
        for begin in range(0, len(order), self.tasks_per_step):
            yield [names[i] for i in order[begin : begin + self.tasks_per_step]]
