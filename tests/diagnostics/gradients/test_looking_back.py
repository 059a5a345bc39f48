"""The check of a training that looks back over its real steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from torch import nn

from metaloss.bilevel import Lookahead
from metaloss.diagnostics.gradients.check import check_grad
from metaloss.diagnostics.gradients.subject import Size, subjects
from tests.diagnostics.gradients.cases import deep, subject
from tests.diagnostics.gradients.test_subject import experiment

TITLE = "looking back against looking ahead"


@pytest.mark.parametrize("strategy", ["mixed", "unroll", "difference", "auto"])
@pytest.mark.parametrize("steps", [1, 2])
def test_looking_back_gives_what_looking_ahead_gives(steps: int, strategy: str) -> None:
    given = subject(deep(nn.Dropout(0.3)), steps=steps)
    given = replace(given, lookahead=Lookahead(steps, strategy), looks_back=True)
    report = check_grad(given, 1)
    (check,) = [check for check in report.checks if check.name == TITLE]
    assert check.error is not None
    assert check.error < check.threshold


def test_a_training_that_looks_ahead_has_nothing_to_compare() -> None:
    report = check_grad(subject(deep(nn.Dropout(0.3))), 1)
    assert TITLE not in [check.name for check in report.checks]


@pytest.mark.parametrize("update", ["after", "before"])
def test_an_experiment_says_which(update: str) -> None:
    given = experiment()
    given = replace(given, recipe=replace(given.recipe, meta_update=update))
    ((_, found),) = subjects(given, Size())
    assert found.looks_back == (update == "after")
