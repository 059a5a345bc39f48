"""The order in which tasks take their steps."""

from __future__ import annotations

from collections import Counter
from itertools import chain, islice

import pytest

from metaloss.checks import InputError
from metaloss.training import TaskSampler

STEPS = {"a": 5, "b": 2, "c": 4}
SAMPLERS = [
    TaskSampler(order=order, block=block, tasks_per_step=tasks_per_step, seed=3)
    for order in ("round-robin", "shuffled", "weighted")
    for block in (1, 3)
    for tasks_per_step in (1, 2, 3)
]


@pytest.mark.parametrize("sampler", SAMPLERS, ids=str)
def test_every_task_takes_all_its_steps_and_no_more(sampler: TaskSampler) -> None:
    turns = list(sampler.turns(STEPS))
    assert Counter(chain.from_iterable(turns)) == STEPS
    assert all(0 < len(turn) <= sampler.tasks_per_step for turn in turns)
    assert all(len(set(turn)) == len(turn) for turn in turns)
    assert turns == list(sampler.turns(STEPS))


def test_round_robin_goes_on_without_those_that_are_done() -> None:
    turns = [name for (name,) in TaskSampler().turns(STEPS)]
    assert turns == list("abcabcacaca")[:11]


def test_shuffled_cycles_hold_every_task_once() -> None:
    turns = [name for (name,) in TaskSampler(order="shuffled").turns(dict.fromkeys("abcd", 50))]
    cycles = [tuple(turns[k : k + 4]) for k in range(0, 200, 4)]
    assert all(sorted(cycle) == list("abcd") for cycle in cycles)
    assert len(set(cycles)) > 10


def test_blocks_are_of_one_task() -> None:
    turns = [name for (name,) in TaskSampler(block=3).turns({"a": 7, "b": 6})]
    assert "".join(turns) == "aaabbbaaabbba"


def test_weights_are_how_often_a_task_is_drawn() -> None:
    sampler = TaskSampler(order="weighted", weights={"a": 3.0})
    turns = sampler.turns(dict.fromkeys("abc", 10_000))
    drawn = Counter(name for (name,) in islice(turns, 5_000))
    assert drawn["a"] / 5_000 == pytest.approx(3 / 5, abs=0.03)
    assert drawn["b"] / 5_000 == pytest.approx(1 / 5, abs=0.03)


def test_weights_may_be_whole_numbers() -> None:
    sampler = TaskSampler(order="weighted", weights={"a": 2, "b": 1})
    floats = TaskSampler(order="weighted", weights={"a": 2.0, "b": 1.0})
    steps = {"a": 30, "b": 30}
    assert list(sampler.turns(steps)) == list(floats.turns(steps))


@pytest.mark.bad_input
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"order": "random"}, "order: expected one of round-robin, shuffled, weighted"),
        ({"block": 0}, "block: expected a whole number of at least 1, got 0"),
        ({"tasks_per_step": 0}, "tasks_per_step: expected a whole number of at least 1, got 0"),
        ({"weights": {"a": 2.0}}, "weights: expected none for the order 'round-robin'"),
        ({"order": "weighted", "weights": {"a": 0.0}}, "expected positive numbers, got 0.0 for a"),
        ({"order": "weighted", "weights": {"a": float("nan")}}, "expected positive numbers"),
        ({"order": "weighted", "weights": {"a": "2"}}, "expected positive numbers, got '2' for a"),
    ],
)
def test_bad_settings(settings, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TaskSampler(**settings)


def test_a_weight_for_nobody_is_told_at_once() -> None:
    sampler = TaskSampler(order="weighted", weights={"z": 1.0})
    with pytest.raises(InputError, match="weights: expected names of a, b, c, got 'z'"):
        sampler.turns(STEPS)
