"""Arguments of the wrong kind, and numbers of NumPy's."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from torch import nn

from metaloss.arguments import check_arguments, checked
from metaloss.checks import InputError, check_at_least, seen
from metaloss.experiments import Conventional, Experiment, RunFolder, RunSettings, TaskSpec
from metaloss.losses import CrossEntropy
from metaloss.training import Recipe, Speed, TaskSampler
from metaloss.types import TaskLike
from tests.helpers.tasks import blobs

if TYPE_CHECKING:
    from collections.abc import Hashable

MAKES = Callable[[], nn.Module]

FITTING = [
    (nn.ReLU, MAKES),
    (nn.ReLU, MAKES | None),
    (None, MAKES | None),
    (lambda: None, MAKES),
    (nn.CrossEntropyLoss(), Callable[..., torch.Tensor]),
    (nn.ReLU(), Callable[..., Any]),
    ((1, 2), Sequence[int]),
    (range(3), Sequence[int]),
    ([0.5, 1], tuple[float, ...]),
    ([int, str], Sequence[type]),
    ({"a": 1.0}, Mapping[str, float]),
    ("here", str | Path),
    (Path("here"), str | Path | None),
    (3, int | None),
    ("x", Any),
    (True, bool),
]


@pytest.mark.parametrize(("value", "hint"), FITTING)
def test_what_fits_is_handed_back(value, hint) -> None:
    assert checked("it", value, hint) is value


REFUSED = [
    (nn.ReLU(), MAKES, "a function that returns a Module, got a ReLU; give the function itself"),
    ("relu", MAKES, "got 'relu'; in a gin file a function is written @module.name"),
    (None, MAKES, "a function that returns a Module, got None"),
    (nn.ReLU, nn.Module, r"a Module, got the class ReLU; give what it makes: .*@ReLU\(\)"),
    (len, nn.Module, r"a Module, got the function len; give what it makes: .*@len\(\)"),
    ("relu", nn.Module, r"a Module, got 'relu'; in a gin file an object is written @module.Name"),
    (3, nn.Module | None, "a Module or None, got 3"),
    ("012", Sequence[int], "a list of whole numbers, got '012'"),
    (torch.arange(3), Sequence[int], "a list of whole numbers, got a Tensor"),
    (nn.ReLU(), Sequence[nn.Module], "got a ReLU; put it into a list, in square brackets"),
    (int, Sequence[type], "a list of classes, got the class int; put it into a list"),
    ([nn.ReLU(), 3], Sequence[nn.Module], r"it\[1\]: expected a Module, got 3"),
    ([("a", 1)], Mapping[str, float], "a dictionary, got a list"),
    (nn.ReLU(), Callable[..., nn.ReLU | nn.Tanh], "got a ReLU; give the function itself"),
    ({"a": 3}, Mapping[str, MAKES], r"it\['a'\]: expected a function that returns a Module, got 3"),
    (3, str | Path | None, "text or a Path or None, got 3"),
    ("yes", bool, "True or False, got 'yes'"),
    (3, TaskLike, "a TaskLike, got 3"),
]


@pytest.mark.parametrize(("value", "hint", "message"), REFUSED)
def test_what_does_not_is_named(value, hint, message) -> None:
    with pytest.raises(InputError, match=message):
        checked("it", value, hint)


def test_fields_of_ones_own_are_left_as_they_are() -> None:
    @dataclass(frozen=True)
    class Own:
        array: np.ndarray
        later: int = field(init=False)

        def __post_init__(self) -> None:
            check_arguments(self)

    array = np.arange(3)
    assert Own(array).array is array


def test_annotations_that_cannot_be_had_are_not_checked() -> None:
    @dataclass(frozen=True)
    class Own:
        key: Hashable

        def __post_init__(self) -> None:
            check_arguments(self)

    assert Own(3).key == 3


@pytest.mark.bad_input
def test_settings_hold_numbers_that_json_can_hold() -> None:
    recipe = Recipe(epochs=np.int64(3), snapshots=np.array([0.5, 1.0]), warmup_epochs=np.int8(1))
    assert (
        json.dumps([recipe.epochs, recipe.snapshots, recipe.warmup_epochs]) == "[3, [0.5, 1.0], 1]"
    )
    assert Speed(autocast=np.bool_(True)).autocast is True
    assert type(TaskSampler(seed=np.int32(3)).seed) is int


@pytest.mark.bad_input
def test_a_run_with_numpys_numbers_is_that_with_pythons(tmp_path) -> None:
    def rows(name: str, number: Callable) -> list[dict]:
        made = Experiment(
            task=blobs,
            model=lambda: nn.Linear(5, 3),
            methods=(Conventional(name="CE", loss=CrossEntropy()),),
            recipe=Recipe(epochs=number(2)),
            settings=RunSettings(seeds=[number(0), number(1)], last=number(1), device="cpu"),
        )
        return made.run(RunFolder(tmp_path / name))

    assert rows("numpy", np.int64) == rows("python", int)


@pytest.mark.bad_input
def test_a_task_to_be_made() -> None:
    with pytest.raises(InputError, match="task: expected a function that returns a TaskLike"):
        TaskSpec(name="digits", task="digits")


class TestWholeNumbers:
    @pytest.mark.bad_input
    @pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
    def test_are_numpys_too(self, value) -> None:
        assert type(check_at_least("steps", value, 2)) is int

    @pytest.mark.bad_input
    @pytest.mark.parametrize("value", [1, True, 3.0, np.float64(3), np.bool_(True), "3", None])
    def test_are_nothing_else(self, value) -> None:
        with pytest.raises(InputError, match="steps: expected a whole number of at least 2, got"):
            check_at_least("steps", value, 2)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([3, 5], "a list; torch.as_tensor makes it a tensor"),
        (["cat"], "a list of names; number them from 0"),
        ((torch.zeros(1),), "a tuple; pass the tensor in it that is meant"),
        ({"logits": torch.zeros(1)}, "a dict; pass the tensor in it that is meant"),
        (None, "None"),
        (torch.zeros(2), "torch.float32 [2]"),
    ],
)
def test_what_came_in_place_of_a_tensor(value, said) -> None:
    assert seen(value) == said
